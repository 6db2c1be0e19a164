import pytest
from toy import STEPS_PER_EPOCH, toy_trainer

from trainer.callbacks.at_evaluations import AtEvaluations


class Noted(AtEvaluations):
    """Takes note of the steps whose evaluation is shown."""

    def __init__(self, at_most_every):
        super().__init__(at_most_every)
        self._shown = []

    def show(self):
        self._shown.append(self.trainer.step)


def shown(run_dir, at_most_every, *durations, eval_every="1st"):
    steps = []
    for duration in durations:
        callback = Noted(at_most_every)
        trainer = toy_trainer(callbacks=[callback], run_dir=run_dir, eval_every=eval_every)
        trainer.fit(duration)
        steps += callback._shown
    return steps


def test_the_first_evaluation_past_each_mark_is_shown(tmp_path):
    assert shown(tmp_path / "all", "0st", "4st") == [1, 2, 3, 4]
    assert shown(tmp_path / "some", "25%", "8st") == [1, 2, 4, 6, 8]
    assert shown(tmp_path / "few", "3st", "10st", eval_every="2st") == [2, 4, 6, 10]
    assert shown(tmp_path / "once", "1ep", "1ep", eval_every="1ep") == [STEPS_PER_EPOCH]


def test_a_run_that_is_taken_up_shows_the_same_ones(tmp_path):
    whole = shown(tmp_path / "whole", "3st", "9st")
    assert shown(tmp_path / "parts", "3st", "4st", "9st") == whole


def test_without_a_run_folder_nothing_is_shown():
    assert shown(None, "0st", "2st") == []


def test_wall_time_is_refused():
    with pytest.raises(ValueError, match="at_most_every=5min: write epochs"):
        AtEvaluations("5min")
