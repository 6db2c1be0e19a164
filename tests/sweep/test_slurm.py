"""Jobs in Slurm's queue: by fake commands that run them here, and by Slurm itself where it is."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up_jobs import job

from trainer.config import ConfigError
from trainer.log_tail import last_line
from trainer.sweep import pool, slurm_executor, slurm_queue
from trainer.sweep.board import Board
from trainer.sweep.cluster_launchers import SlurmLauncher
from trainer.sweep.job import FAILED, FINISHED
from trainer.sweep.pool import run_jobs
from trainer.sweep.slurm_executor import SlurmExecutor

HAS_SLURM = (
    bool(shutil.which("sinfo")) and not subprocess.run(["sinfo"], capture_output=True).returncode
)

# Told once it takes a moment and ends with 75, told twice it ends with 1.
SAVES = """
import os, signal, time
def save(*_):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    time.sleep(0.5)
    os._exit(75)
signal.signal(signal.SIGTERM, save)
print("trains", flush=True)
time.sleep(30)
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The folder of a cluster that has Slurm's commands, on this machine."""
    folder, commands = tmp_path / "cluster", tmp_path / "bin"
    folder.mkdir()
    commands.mkdir()
    fake = Path(__file__).with_name("fake_slurm.py")
    for name in slurm_queue.COMMANDS:
        script = commands / name
        script.write_text(f"#!{sys.executable}\n{fake.read_text()}")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.setattr(slurm_queue, "_SECONDS_BETWEEN_QUESTIONS", 0.0)
    monkeypatch.setattr(slurm_executor, "_SECONDS_BETWEEN_SIGNALS", 0.0)
    return folder


def end_of(handle, seconds=20.0):
    until = time.monotonic() + seconds
    while (code := handle.exit_code()) is None:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.05)
    return code


def wait_for(text, log, seconds=20.0):
    until = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < until, f"no {text!r} in {log}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_the_exit_code_of_the_process_is_that_of_the_job(script, code, cluster, tmp_path):
    handle = SlurmExecutor(1, []).start(job(tmp_path, "a", script))
    assert end_of(handle) == code
    assert handle.exit_code() == code
    assert list((tmp_path / "logs").iterdir()) == [tmp_path / "logs" / "a.log"]


def test_a_job_has_the_folder_and_the_environment_of_the_sweep(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("A_VARIABLE", "its 'value'")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as while a sweep runs
    full_error = "'HYDRA_FULL_ERROR' in os.environ"
    prints = f"import os; print(os.getcwd(), os.environ['A_VARIABLE'], {full_error})"
    its = job(tmp_path, "100%, a=1", prints)
    assert end_of(SlurmExecutor(1, []).start(its)) == 0
    # Slurm itself makes %% one sign of it; the fake does not.
    log = its.log.with_name("100%%, a=1.log")
    assert log.read_text() == f"{Path.cwd()} its 'value' False\n"


def test_a_job_asked_to_stop_is_told_once_however_often_slurm_is_asked(cluster, tmp_path):
    its = job(tmp_path, "a", SAVES)
    handle = SlurmExecutor(1, []).start(its)
    wait_for("trains", its.log)
    handle.stop()
    assert end_of(handle) == 75
    assert (cluster / "scancels").read_text().count("USR1") > 1


def test_a_job_that_slurm_cancels_saves_its_state(cluster, tmp_path):
    its = job(tmp_path, "a", SAVES)
    handle = SlurmExecutor(1, []).start(its)
    wait_for("trains", its.log)
    subprocess.run(["scancel", "1"], check=True)
    assert end_of(handle) == 75


def test_asked_twice_a_job_ends_at_once(cluster, tmp_path):
    its = job(tmp_path, "a", SAVES)
    handle = SlurmExecutor(1, []).start(its)
    wait_for("trains", its.log)
    handle.stop()
    time.sleep(0.2)
    handle.stop()
    assert end_of(handle) == 1


def test_a_job_that_waits_for_its_turn_is_taken_out_of_the_queue(cluster, tmp_path):
    (cluster / "full").touch()
    handle = SlurmExecutor(1, []).start(job(tmp_path, "a", SAVES))
    assert handle.exit_code() is None
    handle.stop()
    assert end_of(handle) == 75
    assert (cluster / "1.state").read_text() == "CANCELLED|None"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ("NODE_FAIL|NodeDown", "Slurm: NODE_FAIL (NodeDown)"),
        ("PREEMPTED|None", "Slurm: PREEMPTED"),
        ("TIMEOUT|TimeLimit", "Slurm: TIMEOUT (TimeLimit)"),
        (None, "Slurm: gone from the queue"),
    ],
)
def test_a_job_whose_node_is_gone_fails_and_says_so(state, line, cluster, tmp_path):
    its = job(tmp_path, "a", SAVES)
    handle = SlurmExecutor(1, []).start(its)
    wait_for("trains", its.log)
    assert handle.exit_code() is None
    os.killpg(os.getpgid(int((cluster / "1.pid").read_text())), signal.SIGKILL)
    if state:
        (cluster / "1.state").write_text(state)
    else:
        (cluster / "1.sh").unlink()
    assert end_of(handle) == 1
    assert last_line(its.log) == line


def test_jobs_outlive_a_controller_that_does_not_answer(cluster, tmp_path):
    its = job(tmp_path, "a", "import time; time.sleep(0.5)")
    handle = SlurmExecutor(1, []).start(its)
    (cluster / "down").touch()
    assert handle.exit_code() is None
    assert end_of(handle) == 0


def test_what_slurm_refuses_ends_the_sweep_only_if_nothing_runs_yet(cluster, tmp_path):
    executor = SlurmExecutor(2, [])
    (cluster / "limit").touch()
    with pytest.raises(ConfigError, match=r"^hydra/launcher=slurm: .*QOSMaxSubmit.*policy$"):
        executor.start(job(tmp_path, "a"))
    (cluster / "limit").unlink()
    first = executor.start(job(tmp_path, "a"))
    (cluster / "limit").touch()
    its = job(tmp_path, "b")
    assert executor.start(its).exit_code() == 1
    assert "QOSMaxSubmitJobPerUserLimit" in last_line(its.log)
    assert end_of(first) == 0


def test_one_that_is_killed_stops_no_other(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "POLL_SECONDS", 0.01)
    scripts = {"a": "", "b": "import os; os.kill(os.getpid(), 9)", "c": ""}
    source = Noting([job(tmp_path, name, script) for name, script in scripts.items()])
    run_jobs(source, SlurmExecutor(2, []), Board(3, 2, "val/accuracy", "max"))
    assert source.states == {"a": FINISHED, "b": FAILED, "c": FINISHED}


class Noting(pool.JobList):
    def __init__(self, jobs):
        super().__init__(jobs)
        self.states = {}

    def ended(self, job, outcome, run):
        self.states[job.name] = outcome.state
        return outcome


def launcher(**settings):
    names = ("partition", "timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb")
    return SlurmLauncher(**{**dict.fromkeys(names), "additional_parameters": {}, **settings})


def test_the_settings_are_options_of_sbatch():
    more = {"account": "vision", "exclusive": True, "reservation": None}
    its = launcher(partition="gpu", gpus_per_node=2, mem_gb=16, additional_parameters=more)
    assert its._checked_options() == [
        "--partition=gpu",
        "--gpus-per-node=2",
        "--mem=16G",
        "--account=vision",
        "--exclusive",
    ]


@pytest.mark.parametrize(
    "wrong", [{"timeout_min": 2}, {"cpus_per_task": 0}, {"gpus_per_node": "two"}, {"mem_gb": True}]
)
def test_a_setting_out_of_range_is_named(wrong):
    with pytest.raises(ConfigError, match=rf"^hydra.launcher.{next(iter(wrong))}=.* at least"):
        launcher(**wrong)._checked_options()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_SLURM, reason="there is no Slurm cluster here")
def test_slurm_itself(tmp_path):
    executor = SlurmExecutor(3, [])
    fails = executor.start(job(tmp_path, "fails", "raise SystemExit(3)"))
    assert end_of(fails, 60) == 3
    stopped, cancelled = job(tmp_path, "stopped, 100%", SAVES), job(tmp_path, "cancelled", SAVES)
    for its, stop in ((stopped, lambda handle: handle.stop()), (cancelled, cancel)):
        handle = executor.start(its)
        wait_for("trains", its.log, 60)
        stop(handle)
        assert end_of(handle, 60) == 75
    waiting = executor.start(job(tmp_path, "waiting", SAVES))
    waiting.stop()
    assert end_of(waiting, 60) == 75


def cancel(handle):
    subprocess.run(["scancel", handle.where().split()[-1]], check=True)
