"""Jobs side by side: what fails stops nothing, what others train is waited for, a signal stops."""

import fcntl
import os
import signal
import threading
import time

import pytest
from made_up_jobs import FakeExecutor, job

from trainer.compare.past_run import is_held
from trainer.sweep import pool
from trainer.sweep.board import Board
from trainer.sweep.job import FAILED, FINISHED, PRUNED, STOPPED, Outcome
from trainer.sweep.local_executor import LocalExecutor, shares
from trainer.sweep.pool import JobList, run_jobs


def states(jobs):
    return {name: outcome.state for name, outcome in jobs.outcomes.items()}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(pool, "POLL_SECONDS", 0.01)


def run(source, executor):
    return run_jobs(source, executor, Board(9, executor.num_workers, "val/accuracy", "max"))


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_every_job_is_run_and_never_more_than_there_are_workers(num_workers, tmp_path):
    executor = FakeExecutor(num_workers, codes=dict.fromkeys("abcd"))
    source = JobList([job(tmp_path, name) for name in "abcd"])
    ender = threading.Thread(target=end_one_after_another, args=(executor, 4))
    ender.start()
    assert run(source, executor) is None
    ender.join()
    assert executor.started == list("abcd")
    assert states(source) == dict.fromkeys("abcd", FINISHED)
    assert executor.most_at_once == min(num_workers, 4)


def end_one_after_another(executor, num_jobs):
    for count in range(num_jobs):
        while len(executor.handles) <= count:
            time.sleep(0.005)
        time.sleep(0.05)
        list(executor.handles.values())[count].code = 0


def test_a_job_that_fails_or_is_killed_stops_no_other_and_says_why(tmp_path):
    scripts = {
        "raises": "raise RuntimeError('the bug')",
        "killed": "import os; os.kill(os.getpid(), 9)",
        "silent": "import sys; sys.exit(3)",
        "fine": "print('done')",
    }
    source = JobList([job(tmp_path, name, script) for name, script in scripts.items()])
    assert run(source, LocalExecutor(2)) is None
    assert states(source) == {
        "raises": FAILED, "killed": FAILED, "silent": FAILED, "fine": FINISHED,
    }  # fmt: skip
    reasons = {name: outcome.reason for name, outcome in source.outcomes.items()}
    assert reasons["raises"] == "RuntimeError: the bug"
    assert reasons["killed"] == "killed by SIGKILL, as when memory runs out"
    assert reasons["silent"] == "exit code 3, and nothing was printed"
    assert (tmp_path / "logs" / "fine.log").read_text() == "done\n"


def test_what_an_attempt_before_has_printed_is_not_why_this_one_failed(tmp_path):
    silent = job(tmp_path, "a", "import sys; sys.exit(3)")
    silent.log.parent.mkdir()
    silent.log.write_text("the reason of before\n")
    source = JobList([silent])
    run(source, LocalExecutor(1))
    assert source.outcomes["a"].reason == "exit code 3, and nothing was printed"


def test_a_signal_that_has_no_name_is_told_by_its_number(tmp_path):
    source = JobList([job(tmp_path, "a", "import os; os.kill(os.getpid(), 40)")])
    run(source, LocalExecutor(1))
    assert source.outcomes["a"].reason == "killed by signal 40"


def test_what_a_search_makes_of_an_outcome_is_what_is_shown(tmp_path, capsys):
    class Strict(JobList):
        def ended(self, job, outcome, run):
            return Outcome(FAILED, "val/accuracy is NaN")

    run(Strict([job(tmp_path, "a")]), FakeExecutor(1))
    assert "a: failed  val/accuracy is NaN" in capsys.readouterr().out


def test_workers_divide_the_cpus_between_them(tmp_path):
    here = sorted(os.sched_getaffinity(0))
    # A job looks once its parent has had the time to place it, as TensorFlow's import gives it.
    script = "import os, time; time.sleep(0.5); print(sorted(os.sched_getaffinity(0)))"
    run(JobList([job(tmp_path, name, script) for name in "ab"]), LocalExecutor(2))
    printed = [(tmp_path / "logs" / f"{name}.log").read_text().strip() for name in "ab"]
    assert sorted(printed) == sorted(str(share) for share in shares(here, 2))


@pytest.mark.parametrize(
    ("things", "num_shares", "expected"),
    [
        ([0, 1, 2, 3], 2, [[0, 1], [2, 3]]),
        ([0, 1, 2], 2, [[0], [1, 2]]),
        ([0, 1], 3, [[0], [1], [0]]),
        ([], 2, [[], []]),
    ],
)
def test_shares_are_as_equal_as_can_be(things, num_shares, expected):
    assert shares(things, num_shares) == expected


def test_a_signal_has_the_running_jobs_stop_once_and_starts_no_more(tmp_path):
    executor = FakeExecutor(2, codes=dict.fromkeys("abcd"))
    source = JobList([job(tmp_path, name) for name in "abcd"])
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert run(source, executor) == "SIGTERM"
    assert executor.started == ["a", "b"]
    assert [handle.stops for handle in executor.handles.values()] == [1, 1]
    assert states(source) == {"a": STOPPED, "b": STOPPED}


def test_a_job_that_is_stopped_while_it_starts_has_not_failed(tmp_path):
    source = JobList([job(tmp_path, "a", "import time; time.sleep(60)")])
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert run(source, LocalExecutor(1)) == "SIGTERM"
    assert states(source) == {"a": STOPPED}


def test_a_second_signal_ends_the_jobs_at_once(tmp_path):
    executor = FakeExecutor(1, codes={"a": None})
    handle_of = executor.handles
    source = JobList([job(tmp_path, "a")])

    def twice():
        while "a" not in handle_of:
            time.sleep(0.01)
        handle_of["a"].stop = lambda: setattr(handle_of["a"], "stops", handle_of["a"].stops + 1)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    threading.Thread(target=twice).start()
    with pytest.raises(KeyboardInterrupt):
        run(source, executor)
    assert handle_of["a"].stops == 2


def test_a_search_may_end_a_job_before_its_time(tmp_path):
    class Impatient(JobList):
        def is_worth_going_on(self, job, run):
            return job.name != "b"

    executor = FakeExecutor(1, codes={"b": None})
    source = Impatient([job(tmp_path, name) for name in "abc"])
    run(source, executor)
    assert states(source) == {"a": FINISHED, "b": PRUNED, "c": FINISHED}
    assert executor.handles["b"].stops == 1


# ---- jobs in other hands


def hold(run_dir):
    run_dir.mkdir(parents=True, exist_ok=True)
    file = (run_dir / "lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write("{}")
    file.flush()
    return file


def test_what_another_process_trains_is_waited_for_while_others_run(tmp_path):
    held = hold(tmp_path / "a")
    executor = FakeExecutor(1)
    source = JobList([job(tmp_path, name) for name in "abc"])
    threading.Timer(0.5, held.close).start()
    begun = time.monotonic()
    run(source, executor)
    # It did not end finished, so it is gone on with; b and c did not wait for that.
    assert executor.started == ["b", "c", "a"]
    assert time.monotonic() - begun >= 0.4
    assert states(source) == {"a": FINISHED, "b": FINISHED, "c": FINISHED}


def test_a_lock_that_nobody_has_signed_is_not_asked_for(tmp_path):
    # To ask is to hold it for a moment, in which the job of another sweep would be refused.
    (tmp_path / "a").mkdir()
    with (tmp_path / "a" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not is_held(tmp_path / "a")
        file.write("{}")
        file.flush()
        assert is_held(tmp_path / "a")
    assert not is_held(tmp_path / "a" / "lock")


def test_a_job_that_lost_the_race_for_its_folder_has_not_failed(tmp_path):
    executor = FakeExecutor(1, codes={"a": None})
    source = JobList([job(tmp_path, "a")])

    def another_is_first():
        while "a" not in executor.handles:
            time.sleep(0.01)
        held = hold(tmp_path / "a")
        executor.codes["a"] = 0
        executor.handles["a"].code = 1  # refused: another trains in this folder
        time.sleep(0.3)
        held.close()

    threading.Thread(target=another_is_first).start()
    run(source, executor)
    assert executor.started == ["a", "a"]
    assert states(source) == {"a": FINISHED}
