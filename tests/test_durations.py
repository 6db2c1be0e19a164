import pytest

from trainer.durations import Duration, RunLength

LENGTH = RunLength(steps_per_epoch=40, global_batch_size=32, total_steps=400)


@pytest.mark.parametrize(
    ("text", "steps"),
    [("20ep", 800), ("0.5ep", 20), ("5000st", 5000), ("2e3ex", 63), ("10%", 40), (" 0 % ", 0)],
)
def test_durations_become_steps(text, steps):
    assert LENGTH.steps(text) == steps


@pytest.mark.parametrize("text", ["20", "ep", "-1ep", "20 epochs", "", None, 20, "1e400x"])
def test_other_texts_are_refused_with_the_units(text):
    with pytest.raises(ValueError, match=r"not a duration: .*20ep.*units are ep"):
        Duration.parse(text)


def test_more_than_the_whole_run_is_refused():
    with pytest.raises(ValueError, match="at most 100%"):
        Duration.parse("101%")


def test_wall_time_has_no_steps():
    with pytest.raises(ValueError, match="no number of steps"):
        LENGTH.steps("30min")


def test_a_run_cannot_last_a_share_of_itself():
    with pytest.raises(ValueError, match="share of itself"):
        RunLength.of("10%", 40, 32)


def test_a_run_lasts_at_least_one_step():
    assert RunLength.of("1ex", 40, 32).total_steps == 1
    with pytest.raises(ValueError, match="at least one step"):
        RunLength.of("0ep", 40, 32)


def test_a_run_measured_in_time_has_no_known_end():
    length = RunLength.of("30min", 40, 32)
    assert length.total_steps is None
    with pytest.raises(ValueError, match="measured in minutes"):
        length.steps("10%")
