"""The journal outlives its writers; what cannot be reached is told in one line."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_up_search import Search, formula_for_values

from trainer.config import ConfigError
from trainer.sweep.search.storage import JournalLock, open_storage, open_study
from trainer.sweep_folder import JOURNAL

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def formula(monkeypatch):
    formula_for_values(monkeypatch)


def test_a_lock_that_a_killed_process_held_stops_nobody(tmp_path):
    storage = open_storage(None, tmp_path)
    open_study(storage, "made_up", {"val/accuracy": "max"})
    holds = (
        "import sys, time; from pathlib import Path;"
        "from trainer.sweep.search.storage import JournalLock;"
        "JournalLock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", holds, str(tmp_path / JOURNAL)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
    start = time.monotonic()
    assert len(Search(open_storage(None, tmp_path), tmp_path, "a").work()) == 6
    assert time.monotonic() - start < 20  # Optuna's own lock is waited for half a minute


def test_half_a_line_at_the_end_is_taken_away(tmp_path):
    Search(open_storage(None, tmp_path), tmp_path, "a").work(2)
    whole = (tmp_path / JOURNAL).read_bytes()
    for torn in (whole[:-7], whole + b'{"op_code": 4, "wor', whole + b"\0" * 9):
        (tmp_path / JOURNAL).write_bytes(torn)
        again = Search(open_storage(None, tmp_path), tmp_path, "b")
        again.work()
        assert again.states() == ["COMPLETE"] * 6


def test_one_writes_while_another_waits(tmp_path):
    first, second = JournalLock(tmp_path / JOURNAL), JournalLock(tmp_path / JOURNAL)
    first.acquire()
    waiting = threading.Thread(target=second.acquire, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    first.release()
    waiting.join(10)
    assert not waiting.is_alive()
    second.release()


def test_a_database_keeps_a_search_as_the_journal_does(tmp_path):
    url = f"sqlite:///{tmp_path}/search.db"
    first = Search(open_storage(url, tmp_path), tmp_path, "a", sampler="tpe", pruner="asha")
    first.work(3)
    first.source.next()
    second = Search(open_storage(url, tmp_path), tmp_path, "b", sampler="tpe", pruner="asha")
    assert second.work() == ["trial_3", "trial_4", "trial_5"]
    whole = Search(open_storage(None, tmp_path), tmp_path, "a", sampler="tpe", pruner="asha")
    whole.work()
    assert second.facts() == whole.facts()


@pytest.mark.parametrize("url", [None, "sqlite:///{}/search.db"], ids=["journal", "database"])
def test_processes_that_begin_at_once_share_the_trials(tmp_path, url):
    work = (
        "import sys; from pathlib import Path;"
        "from made_up_search import Search; import made_up_search as made_up;"
        "made_up.source_module.values_of = lambda run_dir, metrics: ([0.5], '');"
        "from trainer.sweep.search.storage import open_storage;"
        "folder, name, url = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None;"
        "storage = open_storage(url, folder);"
        "print(len(Search(storage, folder, name, 'abc', num_trials=12, pruner='asha').work()))"
    )
    place = url.format(tmp_path) if url else ""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", work, str(tmp_path), name, place],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[2])))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    counts = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(counts) == 12
    search = Search(open_storage(place or None, tmp_path), tmp_path, "d", num_trials=12)
    assert "RUNNING" not in search.states()
    assert len(search.facts()) == 12
    assert len({str(params) for _, _, params, *_ in search.facts()}) == 12


def test_a_study_of_other_objectives_is_refused(tmp_path):
    storage = open_storage(None, tmp_path)
    open_study(storage, "made_up", {"val/accuracy": "max"})
    open_study(storage, "made_up", {"val/accuracy": "max"})
    with pytest.raises(ConfigError, match="begun with the objectives val/accuracy: max; choose"):
        open_study(storage, "made_up", {"val/loss": "min"})


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("search.db", "sweep.storage: no URL of a database"),
        ("sqlite:////no/such/folder/search.db", "unable to open database file"),
        ("nosql://host/name", "sweep.storage=nosql://host/name: cannot be reached"),
        (
            "postgresql+pg8000://user:secret@host/name",
            "user:***@host/name: its driver pg8000 is not installed",
        ),
    ],
)
def test_a_storage_that_cannot_be_reached_is_told_in_one_line(tmp_path, url, line):
    with pytest.raises(ConfigError) as error:
        open_storage(url, tmp_path)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_journal_that_is_none_is_told_in_one_line(tmp_path):
    (tmp_path / JOURNAL).write_text("this is no journal\n" * 3)
    with pytest.raises(ConfigError, match=r"journal\.log: cannot be read") as error:
        open_storage(None, tmp_path)
    assert "\n" not in str(error.value)
