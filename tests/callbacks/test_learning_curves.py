"""The picture of the learning curves: what is read, and when it is drawn."""

import json

import numpy as np
import pytest
from PIL import Image
from toy import toy_trainer

from trainer.callbacks.learning_curves import LearningCurves
from trainer.report.learning_curves import draw, panels, read


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_curves_are_read_by_name_without_what_is_not_finite(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"step": 1, "epoch": 0.5, "train/loss": 2.0, "train/gradient_norm": None},
        {"step": 2, "epoch": 1.0, "train/loss": 1.0},
        {"step": 2, "epoch": 1.0, "val/accuracy": 0.5, "val/loss": 3.0, "time/steps": 9.0},
    ]
    write_rows(path, rows)
    with path.open("a") as file:
        file.write('{"step": 3, "epo')
    curves = read(path)
    assert set(curves) == {"train/loss", "val/accuracy", "val/loss"}
    np.testing.assert_array_equal(curves["train/loss"], [[0.5, 1.0], [2.0, 1.0]])
    assert panels(curves) == ["loss", "accuracy"]


def test_a_run_without_rows_has_an_empty_picture(tmp_path):
    draw(read(tmp_path / "metrics.jsonl"), tmp_path / "empty.png")
    assert Image.open(tmp_path / "empty.png").size[0] > 100


def test_the_end_of_a_run_has_a_picture_with_a_panel_a_metric(tmp_path):
    toy_trainer(run_dir=tmp_path, callbacks=[LearningCurves()]).fit("2ep")
    picture = tmp_path / "report" / "learning_curves.png"
    width, height = Image.open(picture).size
    assert width > 2 * height  # two panels side by side: loss and accuracy
    assert not list(picture.parent.glob("*.partial"))


def test_it_is_drawn_while_a_run_goes_on_but_not_too_often(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(LearningCurves, "_draw", lambda self: drawn.append(self.trainer.step))
    toy_trainer(run_dir=tmp_path / "a", callbacks=[LearningCurves(0)]).fit("3ep")
    assert len(drawn) == 4
    drawn.clear()
    toy_trainer(run_dir=tmp_path / "b", callbacks=[LearningCurves(1000)]).fit("3ep")
    assert len(drawn) == 1


def test_without_a_run_folder_nothing_is_drawn():
    toy_trainer(callbacks=[LearningCurves(0)]).fit("1ep")


def test_a_negative_period_is_refused():
    with pytest.raises(ValueError, match=r"every_seconds=-1: at least 0"):
        LearningCurves(-1)
