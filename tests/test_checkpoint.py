import contextlib
import resource
import threading

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint, CheckpointError, load, save
from trainer.checkpoint_folder import CheckpointFolder
from trainer.disk import RunFolderError


def make(step):
    return Checkpoint(
        step,
        {"model/w": np.arange(6, dtype="float32").reshape(2, 3), "step": np.int64(step)[None]},
        {"best": 0.5, "callbacks": {"0/EarlyStopping": {"wait": 2}}},
    )


def make_best(step, value, mode="max"):
    return Checkpoint(step, make(step).arrays, {"values": {}, "value": value, "mode": mode})


def saved(folder, *checkpoints):
    for checkpoint in checkpoints:
        folder.save(checkpoint)
    folder.close()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path):
    path = tmp_path / "checkpoints" / "mine.safetensors"
    save(path, make(7))
    loaded = load(path)
    assert (loaded.step, loaded.facts) == (7, make(7).facts)
    np.testing.assert_array_equal(loaded.arrays["model/w"], make(7).arrays["model/w"])
    assert names(path.parent) == ["mine.safetensors"]


def test_arrays_of_any_memory_order_are_kept(tmp_path):
    arrays = {"fortran": np.arange(6.0).reshape(2, 3).T, "scalar": np.array(3)}
    save(tmp_path / "mine.safetensors", Checkpoint(1, arrays, {}))
    loaded = load(tmp_path / "mine.safetensors").arrays
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


def test_the_last_ones_and_every_nth_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2, keep_every_steps=50)
    saved(folder, *(make(step) for step in (1, 50, 90, 100, 101, 102)))
    steps = [int(name[5:14]) for name in names(tmp_path)]
    assert steps == [50, 100, 101, 102]
    assert folder.latest().step == 102
    assert folder.latest(at_most=99).step == 50
    assert folder.latest(at_most=49) is None


@pytest.mark.parametrize(("mode", "expected"), [("max", 8), ("min", 6)])
def test_the_best_ones_are_kept_and_the_very_best_is_found(tmp_path, mode, expected):
    folder = CheckpointFolder(tmp_path, keep_best=2)
    values = {5: 0.5, 6: 0.4, 8: 0.9}
    for step, value in values.items():
        ranking = [(v, s) for s, v in values.items() if s <= step and s != 5]
        folder.save_best(make_best(step, value, mode), ranking)
    folder.close()
    assert names(tmp_path) == ["best_000000006.safetensors", "best_000000008.safetensors"]
    assert folder.best().step == expected


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert CheckpointFolder(tmp_path / "none").latest() is None
    assert CheckpointFolder(tmp_path / "none").best() is None


def test_writing_does_not_hold_up_the_caller(tmp_path):
    release = threading.Event()
    folder = CheckpointFolder(tmp_path)
    folder.save(make(1), before=release.wait)
    assert folder.latest() is None
    release.set()
    folder.wait()
    assert folder.latest().step == 1


@contextlib.contextmanager
def small_files():
    """Let no file grow past 4 kB, as on a full disk or over a quota; pytest's own log neither."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path):
    folder = saved(CheckpointFolder(tmp_path), make(1))
    large = Checkpoint(2, {"w": np.zeros(10_000)}, {})
    expected = r"step_000000002.safetensors: cannot be written \("
    with small_files(), pytest.raises(RunFolderError, match=expected):
        folder.save(large)
        folder.wait()
    assert names(tmp_path) == ["step_000000001.safetensors"]
    assert folder.latest().step == 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        saved(CheckpointFolder(tmp_path / "file" / "checkpoints"), make(1))


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_last_byte, truncate, empty])
def test_a_damaged_newest_is_named_and_the_one_before_is_used(tmp_path, damage, caplog):
    folder = saved(CheckpointFolder(tmp_path, keep=2), make(1), make(2))
    damage(tmp_path / "step_000000002.safetensors")
    assert folder.latest().step == 1
    assert "step_000000002.safetensors is damaged" in caplog.text


def test_nothing_intact_is_an_error_and_not_a_fresh_start(tmp_path):
    folder = saved(CheckpointFolder(tmp_path), make(1))
    truncate(tmp_path / "step_000000001.safetensors")
    with pytest.raises(CheckpointError, match=r"none of the 1 checkpoint"):
        folder.latest()


def test_damaged_best_weights_are_named(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save_best(make_best(3, 0.5), [(0.5, 3)])
    folder.close()
    empty(tmp_path / "best_000000003.safetensors")
    with pytest.raises(CheckpointError, match=r"best_000000003.safetensors is damaged"):
        folder.best()


def test_what_lies_past_the_step_that_is_resumed_is_set_aside(tmp_path):
    folder = saved(CheckpointFolder(tmp_path, keep=3), make(1), make(2))
    (tmp_path / "step_000000003.partial").write_text("cut off")
    folder.save_best(make_best(2, 0.5), [(0.5, 2)])
    folder.close()
    folder.resume_at(1, ranking=[])
    assert names(tmp_path) == ["step_000000001.safetensors", "step_000000002.damaged"]


@pytest.mark.parametrize("arguments", [{"keep": 0}, {"keep_best": 0}])
def test_keeping_none_is_refused(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name}=0"):
        CheckpointFolder(tmp_path, **arguments)
