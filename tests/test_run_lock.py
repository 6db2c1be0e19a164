import multiprocessing
import os
import signal
import socket

import pytest

from trainer.disk import RunFolderError
from trainer.run_lock import remove_if_unused, run_lock


def hold(run_dir, connection):
    with run_lock(run_dir):
        connection.send(os.getpid())
        connection.recv()


@pytest.fixture
def other_process(tmp_path):
    """A process that trains in the folder."""
    context = multiprocessing.get_context("spawn")
    connection, theirs = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    assert connection.recv() == process.pid
    yield process
    process.kill()
    process.join()


def test_a_second_run_is_refused_and_told_of_the_first(tmp_path, other_process):
    expected = f"process {other_process.pid} on {socket.gethostname()} .* is training in this"
    with pytest.raises(RunFolderError, match=expected), run_lock(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_no_obstacle_and_is_said(tmp_path, other_process, caplog):
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.join()
    caplog.set_level("INFO", "trainer")
    with run_lock(tmp_path):
        pass
    assert f"process {other_process.pid} on" in caplog.text
    assert "is gone" in caplog.text
    caplog.clear()
    with run_lock(tmp_path):
        pass
    assert not caplog.text


def test_a_process_may_enter_its_own_lock_again(tmp_path):
    with run_lock(tmp_path), run_lock(tmp_path):
        pass
    with run_lock(tmp_path):
        pass


def test_without_a_folder_nothing_is_locked():
    with run_lock(None), run_lock(None):
        pass


def test_a_folder_with_nothing_but_a_lock_is_removed(tmp_path):
    used, unused = tmp_path / "used", tmp_path / "unused"
    for run_dir in (used, unused):
        with run_lock(run_dir):
            pass
    (used / "train.log").touch()
    for run_dir in (used, unused, tmp_path / "never made"):
        remove_if_unused(run_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
