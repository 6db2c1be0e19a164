"""Jobs on a Ray cluster; one of this machine, that the tests start."""

import importlib.util
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from made_up_jobs import job

from trainer.config import ConfigError
from trainer.log_tail import last_line
from trainer.sweep.ray_executor import RayExecutor

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray"
)

SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("trains", flush=True)
time.sleep(30)
"""


@pytest.fixture(scope="module")
def executor():
    os.environ["A_VARIABLE"] = "its 'value'"
    executor = RayExecutor(2, None, num_cpus=1, num_gpus=0)
    yield executor
    executor.close()


def ends_of(*handles):
    until = time.monotonic() + 60
    while None in (codes := [handle.exit_code() for handle in handles]):
        assert time.monotonic() < until, "they do not end"
        time.sleep(0.05)
    return codes


def wait_for(text, log):
    until = time.monotonic() + 60
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < until, f"no {text!r} in {log}"
        time.sleep(0.05)


@needs_ray
def test_jobs_have_exit_codes_and_what_the_sweep_has_around_it(executor, tmp_path):
    prints = "import os; print(os.getcwd(), os.environ['A_VARIABLE'])"
    scripts = {"a": prints, "b": "raise SystemExit(3)", "c": "import os; os.kill(os.getpid(), 9)"}
    jobs = {name: job(tmp_path, name, script) for name, script in scripts.items()}
    assert ends_of(*(executor.start(its) for its in jobs.values())) == [0, 3, -9]
    assert jobs["a"].log.read_text() == f"{Path.cwd()} its 'value'\n"


@needs_ray
def test_a_job_asked_to_stop_saves_its_state(executor, tmp_path):
    its = job(tmp_path, "a", SAVES)
    handle = executor.start(its)
    wait_for("trains", its.log)
    handle.stop()
    assert ends_of(handle) == [75]


@needs_ray
def test_a_job_that_waits_for_its_turn_is_taken_back(executor, tmp_path):
    fills = [job(tmp_path, f"{k}", SAVES) for k in range(os.cpu_count())]
    running = [executor.start(its) for its in fills]
    for its in fills:
        wait_for("trains", its.log)
    its = job(tmp_path, "waits", SAVES)
    waiting = executor.start(its)
    waiting.stop()
    assert ends_of(waiting) == [75]
    assert not its.log.exists()
    for handle in running:
        handle.stop()
    assert ends_of(*running) == [75] * len(running)


@needs_ray
def test_a_job_whose_node_is_gone_fails_and_says_so(executor, tmp_path):
    its = job(tmp_path, "a", f"import os, time\nprint(os.getppid(), flush=True)\n{SAVES}")
    handle = executor.start(its)
    wait_for("trains", its.log)
    os.kill(int(its.log.read_text().split()[0]), 9)
    assert ends_of(handle) == [1]
    assert last_line(its.log).startswith("Ray: The actor died unexpectedly")


def test_an_address_where_nobody_answers_is_said_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", object())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"^hydra.launcher.address={address}: no Ray cluster"):
            RayExecutor(1, address, num_cpus=1, num_gpus=0)
