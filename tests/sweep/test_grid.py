"""Grids as a user types them: what is finished is skipped, what was cut off goes on to the bit."""

import json
import os
import random
import re
import shutil
import signal
import time

import pytest
from started_sweep import processes_of, run_folders, start

from trainer.__main__ import entry
from trainer.compare.past_run import read_run
from trainer.verify.comparison import compare

SMALL = ["model=mlp", "data.limit=100", "precision=float32", "callbacks=progress"]


def sweep(folder, *words):
    return entry(["-m", *SMALL, f"hydra.sweep.dir={folder}", *words])


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def differences(whole, other):
    return [found for found in compare(whole, other) if found.num_different]


def trained_alone(job, folder):
    """Train a job by itself, with the words that its manifest has, in another folder."""
    command = json.loads((job / "manifest.json").read_text())["command"]
    words = [w for w in re.findall(r"(?:'[^']*'|\S)+", command)[3:] if "hydra.run.dir" not in w]
    assert entry([*words, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A sweep of which one job cannot be built; the folder, what it printed, its exit code."""
    folder = tmp_path_factory.mktemp("grid") / "sweep"
    process = start(
        folder, *SMALL, "schedule.warmup=1st,50ep", "duration=2ep", "workers=2", "seed=3"
    )
    code = process.wait(timeout=240)
    return folder, (folder.parent / "sweep.log").read_text(), code


def test_one_job_that_fails_stops_no_other_and_is_named_at_the_end(grid):
    folder, printed, code = grid
    assert code == 1
    states = {path.name: read_run(path).state for path in run_folders(folder)}
    assert list(states.values()) == ["finished"]
    assert "1 of 2 jobs failed:" in printed
    assert re.search(
        r"schedule.warmup=50ep: schedule.warmup is .*\n +log  .*50ep,seed=3\.log", printed
    )


def test_folders_have_the_names_of_what_was_typed(grid):
    folder, _, _ = grid
    (job,) = run_folders(folder)
    assert job.name.endswith("duration=2ep,model=mlp,precision=float32,schedule.warmup=1st,seed=3")
    assert json.loads((folder / "sweep.json").read_text())["varied"] == ["schedule.warmup"]


def test_the_same_command_again_trains_only_what_is_not_finished(grid, capfd):
    folder, _, _ = grid
    logs = {path.name: path.read_text() for path in (folder / "logs").iterdir()}
    (job,) = run_folders(folder)
    rows = (job / "metrics.jsonl").read_bytes()
    words = ["schedule.warmup=1st,50ep", "duration=2ep", "seed=3"]
    assert sweep(folder, *words) == 1
    assert (job / "metrics.jsonl").read_bytes() == rows
    longer = {p.name for p in (folder / "logs").iterdir() if len(p.read_text()) > len(logs[p.name])}
    assert [name for name in longer if "warmup=50ep" in name] == list(longer) != []


def test_a_folder_of_other_settings_is_refused_before_anything_starts(grid, capfd):
    folder, _, _ = grid
    (job,) = run_folders(folder)
    other = folder.parent / "other"
    shutil.copytree(job, other / job.name.replace("seed=3", "seed=4"))
    assert sweep(other, "schedule.warmup=1st", "duration=2ep", "seed=4,5") == 2
    error = capfd.readouterr().err
    assert "seed: 3 there, 4 here" in error and "sweep.name" in error
    assert not (other / "logs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0,-1"], "seed=-1]"),
        (["seed=0,1", "workers=0"], "workers=0: must be a whole number, at least 1"),
        (["seed=0,1", "sweep.name=a/b"], "sweep.name=a/b: must be letters"),
        (["seed=0,1", "sweep.nmae=x"], "sweep.name"),
        (["seed=0,0"], "2 jobs would go into the folder"),
        (["optimizer.learning_rate=interval(0.1,1)"], "has no end of values"),
    ],
)
def test_what_cannot_be_swept_is_one_line_before_anything_starts(words, message, tmp_path, capfd):
    assert sweep(tmp_path / "sweep", *words) == 2
    error = capfd.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


def test_a_killed_sweep_goes_on_to_the_bit(tmp_path):
    folder = tmp_path / "sweep"
    words = ["seed=0,1", "duration=40ep", "checkpoint_every=5st"]
    process = start(folder, *SMALL, *words)
    while not list(folder.glob("*seed=0/checkpoints/step_*.safetensors")):
        assert process.poll() is None
        time.sleep(0.05)
    # The sweep first: its job lives on, and is waited for by the next sweep or found stopped.
    assert kill(process.pid)
    for pid in processes_of(folder):
        kill(pid)
    process.wait()
    assert start(folder, *SMALL, *words).wait(timeout=240) == 0
    jobs = run_folders(folder)
    assert [read_run(job).state for job in jobs] == ["finished", "finished"]
    assert "going on from step" in (jobs[0] / "train.log").read_text()
    assert not differences(trained_alone(jobs[0], tmp_path / "alone"), jobs[0])


def test_a_signal_stops_a_sweep_with_its_jobs_saved(tmp_path):
    folder = tmp_path / "sweep"
    process = start(folder, *SMALL, "seed=0,1", "duration=2000ep")
    while not list(folder.glob("*seed=0/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 75
    (job,) = run_folders(folder)
    assert read_run(job).state == "stopped"
    assert "the same command goes on" in (tmp_path / "sweep.log").read_text()


@pytest.mark.slow
def test_a_grid_of_twelve_survives_random_kills_to_the_bit(tmp_path):
    rng = random.Random(0)
    folder = tmp_path / "sweep"
    words = [
        *("optimizer.learning_rate=0.1,0.03,0.01", "seed=0,1", "model.dropout=0,0.2"),
        *("duration=60ep", "checkpoint_every=10st", "workers=1"),
    ]
    for _ in range(3):
        process = start(folder, *SMALL, *words)
        for _ in range(3):  # single jobs
            time.sleep(rng.uniform(6, 14))
            for pid in processes_of(folder):
                kill(pid)
        time.sleep(rng.uniform(3, 9))
        for pid in [process.pid, *processes_of(folder)]:  # the whole tree
            kill(pid)
        process.wait()
    while start(folder, *SMALL, *words).wait() not in (0,):  # what was killed singly is tried again
        time.sleep(0.1)
    jobs = run_folders(folder)
    assert len(jobs) == 12
    assert [read_run(job).state for job in jobs] == ["finished"] * 12
    for number, job in enumerate(jobs):
        assert not differences(trained_alone(job, tmp_path / f"alone_{number}"), job)
