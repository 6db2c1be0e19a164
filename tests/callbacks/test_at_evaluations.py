from types import SimpleNamespace

import pytest
from toy import STEPS_PER_EPOCH, toy_trainer

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.durations import RunLength


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
    assert shown(tmp_path / "parts", "3st", "6st", "9st") == whole


def test_the_last_evaluation_is_shown_whenever_it_comes(tmp_path):
    assert shown(tmp_path / "uneven", "5st", "7st") == [1, 5, 7]
    assert shown(tmp_path / "rare", "100%", "7st", eval_every="3st") == [3, 7]


def test_where_no_share_of_the_run_is_known_evaluations_are_shown_ever_less_often():
    callback = Noted("10%")
    callback.trainer = SimpleNamespace(step=0, writer=object())
    callback.length = RunLength(8, 8)
    for step in range(1, 31):
        callback.trainer.step = step
        callback.on_test_end()
    assert callback._shown == [1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 30]


def test_without_a_run_folder_nothing_is_shown():
    assert shown(None, "0st", "2st") == []


def test_wall_time_is_refused():
    with pytest.raises(ValueError, match="at_most_every=5min: write epochs"):
        AtEvaluations("5min")
