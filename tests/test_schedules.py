import math

import numpy as np
import pytest

from trainer.durations import RunLength
from trainer.schedules import WarmupCosine, WarmupLinear, constant, warmup_cosine, warmup_linear

LENGTH = RunLength(steps_per_epoch=10, global_batch_size=32, total_steps=40)


def rates(schedule, num_steps=40):
    return np.array([float(schedule(step)) for step in range(num_steps)])


def test_linear_rises_to_the_peak_and_falls_towards_zero():
    schedule = warmup_linear(0.4, LENGTH, warmup="25%")
    expected = [0.4 * (t + 1) / 10 for t in range(10)]
    expected += [0.4 * (1 - (t - 9) / 31) for t in range(10, 40)]
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-5)
    assert rates(schedule)[-1] > 0


def test_cosine_falls_along_half_a_cosine():
    schedule = warmup_cosine(1.0, LENGTH, warmup="0st")
    expected = [0.5 * (1 + math.cos(math.pi * (t + 1) / 41)) for t in range(40)]
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [WarmupLinear, WarmupCosine])
def test_final_fraction_is_what_the_decay_ends_at(kind):
    schedule = kind(1.0, warmup_steps=5, total_steps=10, final_fraction=0.2)
    assert float(schedule(1000)) == pytest.approx(0.2)
    assert rates(schedule, 10).min() >= 0.2


def test_constant_leaves_the_learning_rate_to_callbacks():
    assert constant(0.1, LENGTH) == 0.1


def test_a_warmup_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match=r"schedule\.warmup is 50 steps, but the run has 40"):
        warmup_linear(0.1, LENGTH, warmup="5ep")


def test_a_share_outside_zero_to_one_is_refused():
    with pytest.raises(ValueError, match=r"schedule\.final_fraction=2"):
        warmup_linear(0.1, LENGTH, final_fraction=2)


def test_a_run_measured_in_minutes_cannot_decay():
    with pytest.raises(ValueError, match="schedule=constant"):
        warmup_linear(0.1, RunLength(10, 32), warmup="1ep")


def test_the_config_round_trips():
    schedule = warmup_cosine(0.3, LENGTH)
    same = WarmupCosine.from_config(schedule.get_config())
    np.testing.assert_array_equal(rates(same), rates(schedule))
