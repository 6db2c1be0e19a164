"""`vectorize=seeds` as a user types it: one process, and an ordinary run for each seed."""

import json
import os
import signal
import time

import pytest
from started_sweep import processes_of, run_folders, start

from trainer.__main__ import entry
from trainer.compare.past_run import read_run
from trainer.verify.comparison import compare

TOGETHER = [
    *("experiment=digits", "model=mlp", "data.limit=100", "precision=float32"),
    *("callbacks=progress", "vectorize=seeds", "checkpoint_every=3st"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    assert start(folder, *TOGETHER, "seed=0,1", "duration=40ep").wait(timeout=600) == 0
    return folder


def test_each_seed_has_an_ordinary_run_and_they_share_a_process(whole):
    jobs = run_folders(whole)
    assert [job.name[-6:] for job in jobs] == ["seed=0", "seed=1"]
    assert [read_run(job).state for job in jobs] == ["finished"] * 2
    assert len(list((whole / "logs").iterdir())) == 1
    facts = [json.loads((job / "manifest.json").read_text()) for job in jobs]
    assert ["seed=1" in each["command"] for each in facts] == [False, True]
    logs = [(job / "train.log").read_text() for job in jobs]
    assert all(log.count("Done: ") == 1 for log in logs)


def test_the_same_command_goes_on_to_the_bit_where_seeds_were_killed_apart(whole, tmp_path):
    folder = tmp_path / "sweep"
    process = start(folder, *TOGETHER, "seed=0,1", "duration=40ep")
    deadline = time.monotonic() + 300
    while len(list(folder.glob("*/checkpoints/*.safetensors"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    # One seed has no checkpoint left, as after a death between two saves: it is behind.
    for path in run_folders(folder)[1].glob("checkpoints/*"):
        path.unlink()
    assert entry(["-m", *TOGETHER, f"hydra.sweep.dir={folder}", "seed=0,1", "duration=40ep"]) == 0
    for one, other in zip(run_folders(whole), run_folders(folder), strict=True):
        assert not [found for found in compare(one, other) if found.num_different]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["vectorize=seed"], "vectorize=seed: must be seeds, or null"),
        (["update.accumulate_steps=2"], "vectorize=seeds: update.accumulate_steps=2"),
        (["strategy=mirrored"], "vectorize=seeds: strategy"),
        (["duration=1min"], "vectorize=seeds: duration=1min"),
        (["data.feed=streamed"], "vectorize=seeds: data.feed=streamed"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_starts(
    more, message, tmp_path, capfd
):
    folder = tmp_path / "sweep"
    assert entry(["-m", *TOGETHER, f"hydra.sweep.dir={folder}", "seed=0,1", *more]) == 2
    assert message in capfd.readouterr().err
    assert not (folder / "logs").exists()
