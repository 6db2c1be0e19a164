"""`verify_resume`: real runs, killed and compared, and what it says where it cannot."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.__main__ import entry
from trainer.verify import kills as killing
from trainer.verify.comparison import Comparison
from trainer.verify.kills import CHECKPOINT, EVALUATION, START_UP, TRAINING, Course, Kill, choose
from trainer.verify.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
COURSE = Course(
    num_steps=100,
    steps_per_epoch=20,
    evaluated_steps=frozenset(range(20, 101, 20)),
    seconds_to_first_step=5.0,
    seconds_of_evaluation=1.0,
    seconds_between_kills=0.2,
)

# Together they kill 21 times, and have everything in them that a state can be lost in.
SMALL = ["data.limit=200", "jit=false", "callbacks.progress=null"]
RUNS = {
    "batch normalization, flips, crops, mixup": [
        *("kills=5", "control=false", "model=mini_inception", "model.width=0.1", "augment=mixup"),
        *("checkpoint_every=5st", "duration=6ep", "optimizer.learning_rate=0.05"),
        *("precision=float32", *SMALL),
    ],
    "accumulation, moving average, one cycle, early stopping": [
        *("kills=8", "control=false", "model=mlp", "optimizer=adamw", "schedule=one_cycle"),
        *("update.accumulate_steps=4", "update.ema_decay=0.9", "callbacks=early_stopping"),
        *("callbacks.early_stopping.restore_best_weights=true", "keep_best=3"),
        *("callbacks.early_stopping.min_delta=0.1", "callbacks.early_stopping.patience=3"),
        *("optimizer.learning_rate=0.01", "duration=24ep", "precision=float32", *SMALL),
    ],
    "bfloat16, dropout, a plateau": [
        *("kills=8", "model=mlp", "model.dropout=0.3", "schedule=constant"),
        "+callbacks.plateau._target_=keras.callbacks.ReduceLROnPlateau",
        *("+callbacks.plateau.patience=1", "+callbacks.plateau.min_delta=0.05"),
        "+callbacks.plateau.factor=0.5",
        *("augment=shift", "duration=16ep", "precision=mixed_bfloat16", *SMALL),
    ],
}


def verify(folder, words):
    """Run the command in a process of its own; return its exit code, its output and its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "verify_resume", *words, f"hydra.run.dir={folder}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    figures = folder / "verify_resume.json"
    assert figures.exists(), done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr, json.loads(figures.read_text())


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """All of RUNS at a time: most of it is start-up, which takes one core."""
    folder = tmp_path_factory.mktemp("verified")
    with ThreadPoolExecutor(len(RUNS)) as pool:
        futures = {
            name: pool.submit(verify, folder / str(k), words)
            for k, (name, words) in enumerate(RUNS.items())
        }
        yield {name: future.result() for name, future in futures.items()}


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_ends_as_one_that_was_never_stopped(verified, name):
    code, output, figures = verified[name]
    assert code == 0, output
    assert figures["is_equal"] and not figures["failures"]
    asked_for = int(RUNS[name][0].removeprefix("kills="))
    assert figures["num_kills"] == asked_for == sum(figures["hits"].values())
    assert figures["num_resumes_mid_epoch"] >= 1
    assert all(found["num_values"] > 0 for found in figures["comparisons"])
    assert "to the bit: the killed run ended as the one never stopped" in output


def test_there_are_twenty_kills_in_all_and_they_hit_more_than_the_start_up(verified):
    hits = [kill["hit"] for _, _, figures in verified.values() for kill in figures["kills"]]
    assert len(hits) >= 20
    assert sum(hit != START_UP for hit in hits) >= 10


def test_other_random_streams_after_a_resume_are_caught(verified):
    _, output, figures = verified["bfloat16, dropout, a plateau"]
    control = figures["control"]
    assert control["num_different"] > control["num_items"] / 2
    assert re.search(r"control +\d+ of \d+ arrays differ", output)


@pytest.mark.slow
def test_it_holds_for_many_kills_in_every_phase(tmp_path):
    words = ["kills=50", "model=mlp", "augment=shift", "duration=40ep", "seed_of_kills=1"]
    code, output, figures = verify(tmp_path, words)
    assert code == 0, output
    assert figures["num_kills"] == 50
    assert set(figures["hits"]) == {START_UP, TRAINING, EVALUATION, CHECKPOINT}
    assert figures["hits"][CHECKPOINT] >= 3
    assert figures["num_resumes_mid_epoch"] >= 20


def test_a_run_that_fails_is_reported_in_its_own_words(tmp_path, capfd):
    words = ["verify_resume", "data.batch_size=4096", f"hydra.run.dir={tmp_path / 'run'}"]
    assert entry(words) == 1
    error = capfd.readouterr().err
    assert "the run ended with exit code 2, not by this command: data.batch_size=4096" in error
    assert f"(see {tmp_path / 'run' / 'logs' / 'whole_000.log'})" in error
    assert error.count("\n") == 1


def test_ctrl_c_ends_the_run_too(tmp_path):
    words = ["model=mlp", "duration=100000ep", f"hydra.run.dir={tmp_path}"]
    program = [sys.executable, "-m", "trainer", "verify_resume", *words]
    lock = tmp_path / "whole" / "lock"
    with subprocess.Popen(
        program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.05)
        child = json.loads(lock.read_text())["process"]
        process.send_signal(signal.SIGINT)
        try:
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, error) == (1, "interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


WRONG = {
    "kills=0": "kills=0: must be a whole number, at least 1",
    "kills=many": "kills=many: must be a whole number, at least 1",
    "seed_of_kills=-1": "seed_of_kills=-1: must be a whole number, at least 0",
    "control=maybe": "control=maybe: must be true or false",
    "duration=2min": "duration=2min: no two runs do the same in the same time",
    "eval_every=1min": "eval_every=1min: no two runs do the same in the same time",
    "experimnt=digits": "experimnt=digits: no such setting; did you mean experiment?",
    "checkpoint_every=often": "checkpoint_every: not a duration: 'often'",
    "--help": "--help: no flags are taken here",
    "hydra.run.dir=used": "hydra.run.dir=used: holds a verification already; remove it",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_answered_in_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used" / "whole").mkdir(parents=True)
    assert entry(["verify_resume", *words.split()]) == 2
    error = capsys.readouterr().err
    assert WRONG[words] in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def kill(hit=TRAINING, resumed_at=7):
    return Kill(aimed_at=hit, hit=hit, step=9, resumed_at=resumed_at, seconds=1.0)


def verdict(**changed):
    arguments = {
        "num_kills": 2, "course": COURSE, "kills": [kill(resumed_at=None), kill()],
        "last_resume": 40, "comparisons": [Comparison("rows", 3, 9)],
        "has_control": True, "control": Comparison("arrays", 5, 50, 2, "kernel: 1 and 2"),
    }  # fmt: skip
    return Verdict(**arguments | changed)


FAILURES = {
    "the run was done after 1 of 2 kills: make it longer": {"kills": [kill()]},
    "rows: 2 differ, first row 3: loss": {
        "comparisons": [Comparison("rows", 3, 9, 2, "row 3: loss: 1 and 2")]
    },
    "no process went on from a checkpoint": {
        "kills": [kill(START_UP, None)] * 2,
        "last_resume": None,
    },
    "no control: the run was done": {"control": None},
    "the check itself is blind": {"control": Comparison("arrays", 5, 50)},
}


@pytest.mark.parametrize("message", FAILURES)
def test_what_is_no_proof_is_said_so(message):
    (line,) = verdict(**FAILURES[message]).failures
    assert line.startswith(message)
    assert verdict().failures == []


def test_resumes_are_counted_by_where_in_an_epoch_they_were():
    assert (verdict().resumes, verdict().num_mid_epoch) == ([7, 40], 1)
    assert "resumes   2, 1 of them within an epoch" in verdict().lines()
    assert "          2 between steps of training: steps 9, 9" in verdict().lines()


@pytest.mark.parametrize("kills_left", [1, 5, 50])
@pytest.mark.parametrize("checkpoint_step", [0, 37, 98, 99])
def test_moments_are_ahead_and_leave_steps_for_the_other_kills(checkpoint_step, kills_left):
    rng = random.Random(0)
    moments = [choose(rng, COURSE, checkpoint_step, kills_left) for _ in range(300)]
    assert {START_UP, TRAINING, CHECKPOINT} <= {moment.phase for moment in moments}
    remaining = 100 - checkpoint_step
    for moment in moments:
        if moment.phase == START_UP:
            assert 0 <= moment.seconds <= COURSE.seconds_to_first_step
        else:
            reach = max(1, round(1.5 * remaining / (kills_left + 1)))
            assert checkpoint_step < moment.step <= min(100, checkpoint_step + reach)
        if moment.phase == EVALUATION:
            assert moment.step in COURSE.evaluated_steps


def test_a_run_at_its_end_is_not_killed_any_more():
    rng = random.Random(0)
    assert all(choose(rng, COURSE, 100, 3).step > 100 for _ in range(50))


@pytest.mark.parametrize(
    ("row", "is_writing", "phase"),
    [
        (None, False, START_UP),
        ({"step": 19, "train/loss": 1.0}, False, TRAINING),
        ({"step": 20, "train/loss": 1.0}, False, EVALUATION),
        ({"step": 20, "val/loss": 1.0, "time/total": 2.0}, False, TRAINING),
        ({"step": 20, "train/loss": 1.0}, True, CHECKPOINT),
    ],
)
def test_what_a_kill_hit_is_told_by_what_it_left(row, is_writing, phase):
    attempt = SimpleNamespace(last_row=row, is_writing_checkpoint=lambda: is_writing)
    assert killing._phase_hit(attempt, COURSE) == phase
