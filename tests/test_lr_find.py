"""The command `lr_find`, from its words to the files it leaves."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from trainer.__main__ import entry

SMALL = ["model=mlp", "data.limit=200", "precision=float32"]


def test_it_writes_a_curve_a_picture_and_a_word_to_train_with(tmp_path, capsys):
    run_dir = tmp_path / "run"
    words = [*SMALL, "min=1e-5", "max=1e5", "steps=80", f"hydra.run.dir={run_dir}"]
    assert entry(["lr_find", *words]) == 0
    assert {path.name for path in run_dir.iterdir()} == {
        "lr_find.json", "lr_find.csv", "lr_find.png",
    }  # fmt: skip
    with (run_dir / "lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    facts = json.loads((run_dir / "lr_find.json").read_text())
    assert facts["num_steps"] == len(rows) < 80 and facts["has_diverged"]
    rates = np.array([float(row["learning_rate"]) for row in rows])
    np.testing.assert_allclose(rates, 1e-5 * 1e10 ** (np.arange(len(rows)) / 79), rtol=1e-3)
    assert all(np.isfinite(float(row["smoothed_loss"])) for row in rows)
    with Image.open(run_dir / "lr_find.png") as picture:
        assert np.unique(np.asarray(picture)).size > 10

    printed = capsys.readouterr().out
    assert "where the loss diverged" in printed
    suggested = [float(x) for x in re.findall(r"optimizer\.learning_rate=(\S+)", printed)]
    assert suggested == list(facts["suggestions"].values())
    assert all(1e-4 < rate < 10 for rate in suggested)
    assert entry([*SMALL, "duration=1ep", f"optimizer.learning_rate={suggested[0]:g}"]) == 0


def test_a_trained_run_in_the_same_folder_is_left_alone(tmp_path):
    words = [*SMALL, f"hydra.run.dir={tmp_path}", "duration=2st"]
    assert entry(words) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert entry(["lr_find", *words, "steps=20", "max=1e-5"]) == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_loss_that_does_not_fall_is_said_so(tmp_path, capsys):
    words = [*SMALL, "steps=20", "min=1e-9", "max=1e-8", f"hydra.run.dir={tmp_path}"]
    assert entry(["lr_find", *words]) == 0
    assert "nothing to suggest: the loss did not fall" in capsys.readouterr().out
    facts = json.loads((tmp_path / "lr_find.json").read_text())
    assert facts["suggestions"] == {"steepest": None, "tenth_of_lowest": None}


WRONG = {
    "min=fast": "min=fast: must be a learning rate, a number above 0",
    "max=0": "max=0: must be a learning rate, a number above 0",
    "max=inf": "max=inf: must be a learning rate",
    "min=1 max=0.1": "min=1 max=0.1: min must be below max",
    "steps=3": "steps=3: must be a whole number, at least 20",
    "steps=1ep": "steps=1ep: must be a whole number, at least 20",
    "experimnt=digits": "experimnt=digits: no such setting; did you mean experiment?",
    "optimizer=sgdd": "optimizer=sgdd: no such option; did you mean sgd?",
    "optimizer.lr=1": "optimizer.lr=1: no such setting; did you mean optimizer.learning_rate?",
    "data.batch_size=4096": "data.batch_size=4096",
    "outputs/run": "outputs/run: not KEY=VALUE",
    "--help": "--help: no flags are taken here",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_answered_in_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry(["lr_find", *words.split()]) == 2
    error = capsys.readouterr().err
    assert WRONG[words] in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
