"""Every schedule against a plain NumPy definition, at every update of a run."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import schedules
from trainer.durations import RunLength
from trainer.schedules import PiecewiseLinear, WarmUp

TOTAL, PEAK = 40, 0.4
LENGTH = RunLength(steps_per_epoch=10, global_batch_size=32, total_steps=TOTAL)
IN_MINUTES = RunLength(steps_per_epoch=10, global_batch_size=32)


def rates(schedule, num_steps=TOTAL):
    return np.array([float(schedule(step)) for step in range(num_steps)])


# ---- the plain definitions: the height of the curve t updates after the peak, of which there are T


def linear(t, total, final=0.0):
    return final + (1 - final) * (1 - t / total)


def polynomial(t, total, power=2.0, final=0.0):
    return final + (1 - final) * (1 - t / total) ** power


def cosine(t, total, final=0.0):
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * t / total))


def expected(curve, warmup_steps, **arguments):
    """PEAK at the last update of the warm-up, which is the first of the curve."""
    skipped = max(0, warmup_steps - 1)
    rising = [PEAK * (t + 1) / warmup_steps for t in range(skipped)]
    total = TOTAL - skipped
    return np.array(rising + [PEAK * curve(t, total, **arguments) for t in range(total)])


DECAYS = {
    "linear": (linear, {}, {}),
    "linear to a fifth": (linear, {"final_fraction": 0.2}, {"final": 0.2}),
    "polynomial": (polynomial, {}, {}),
    "polynomial of power 3": (
        polynomial, {"power": 3.0, "final_fraction": 0.1}, {"power": 3.0, "final": 0.1},
    ),
    "cosine": (cosine, {}, {}),
    "cosine to a half": (cosine, {"final_fraction": 0.5}, {"final": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("warmup_steps", [0, 1, 2, 10, 39, 40])
@pytest.mark.parametrize("name", DECAYS)
def test_decays_to_the_end_of_the_run(name, warmup_steps):
    curve, given, plain = DECAYS[name]
    schedule = getattr(schedules, curve.__name__)(PEAK, LENGTH, warmup=f"{warmup_steps}st", **given)
    found = rates(schedule)
    np.testing.assert_allclose(found, expected(curve, warmup_steps, **plain), rtol=2e-5, atol=1e-7)
    final = plain.get("final", 0.0)
    assert found[max(0, warmup_steps - 1)] == pytest.approx(PEAK)
    assert found[0] > 0 and found[-1] > final * PEAK
    assert rates(schedule, TOTAL + 5)[TOTAL:] == pytest.approx(final * PEAK, abs=1e-8)


@pytest.mark.parametrize("warmup_steps", [0, 1, 5, 20])
def test_step_drops_exactly_at_its_points(warmup_steps):
    schedule = schedules.step(
        PEAK, LENGTH, at=["50%", "3ep"], factor=0.1, warmup=f"{warmup_steps}st"
    )
    steps = np.arange(TOTAL)
    plain = PEAK * np.select([steps < 20, steps < 30], [1, 0.1], 0.01)
    plain[:warmup_steps] = PEAK * (steps[:warmup_steps] + 1) / max(1, warmup_steps)
    np.testing.assert_allclose(rates(schedule), plain, rtol=1e-6)


def test_step_with_a_point_past_the_end_never_gets_there():
    schedule = schedules.step(PEAK, LENGTH, at=["10st", "200ep"], factor=0.5)
    np.testing.assert_allclose(rates(schedule), [PEAK] * 10 + [PEAK / 2] * 30, rtol=1e-6)


@pytest.mark.parametrize("staircase", [False, True])
@pytest.mark.parametrize("warmup_steps", [0, 1, 5])
def test_exponential_falls_by_a_factor_in_every_period(staircase, warmup_steps):
    schedule = schedules.exponential(
        PEAK, LENGTH, every="4st", factor=0.5, staircase=staircase, warmup=f"{warmup_steps}st"
    )
    periods = np.arange(-max(0, warmup_steps - 1), TOTAL)[:TOTAL] / 4
    plain = PEAK * 0.5 ** (np.floor(periods) if staircase else periods)
    plain[:warmup_steps] = PEAK * (np.arange(warmup_steps) + 1) / max(1, warmup_steps)
    np.testing.assert_allclose(rates(schedule), plain, rtol=1e-5)


@pytest.mark.parametrize(("warmup", "rise"), [("45%", 18), ("2st", 2), ("50%", 20), ("1st", 1)])
def test_one_cycle_rises_falls_as_long_and_ends_far_below(warmup, rise):
    schedule = schedules.one_cycle(
        PEAK, LENGTH, warmup=warmup, initial_fraction=0.1, final_fraction=1e-4
    )
    low, final = 0.1 * PEAK, 1e-4 * PEAK
    points = {0: low, rise - 1: PEAK if rise > 1 else low, 2 * rise - 2: low, TOTAL - 1: final}
    plain = np.interp(np.arange(TOTAL), list(points), list(points.values()))
    found = rates(schedule)
    np.testing.assert_allclose(found, plain, rtol=1e-5)
    assert found[-1] == pytest.approx(final, rel=1e-6)
    assert float(schedule(1000)) == pytest.approx(final, rel=1e-6)


@pytest.mark.parametrize("total_steps", [1, 2, 3, 5])
@pytest.mark.parametrize("name", [n for n in schedules.__all__ if n.islower()])
def test_every_schedule_gets_through_a_run_of_a_few_steps(name, total_steps):
    length = RunLength(steps_per_epoch=10, global_batch_size=32, total_steps=total_steps)
    schedule = getattr(schedules, name)(PEAK, length)
    if not isinstance(schedule, float):
        found = rates(schedule, total_steps)
        assert np.isfinite(found).all() and found.max() <= PEAK * (1 + 1e-6) and found.min() > 0


def test_constant_leaves_the_learning_rate_to_callbacks():
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.learning_rate = schedules.constant(0.1, LENGTH)
    optimizer.learning_rate = 0.05
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(0.05)


def test_constant_after_a_warm_up():
    found = rates(schedules.constant(PEAK, LENGTH, warmup="1ep"))
    np.testing.assert_allclose(found, np.minimum(np.arange(1, 41) / 10, 1) * PEAK, rtol=1e-6)


@pytest.mark.parametrize("name", ["constant", "step", "exponential"])
def test_what_needs_no_end_works_in_a_run_measured_in_minutes(name):
    given = {"step": {"at": ["2ep"]}, "exponential": {"every": "1ep"}}.get(name, {})
    schedule = getattr(schedules, name)(PEAK, IN_MINUTES, warmup="5st", **given)
    assert float(schedule(0)) == pytest.approx(PEAK / 5)


# ---- the step is the number of updates, inside a graph too


def test_an_optimizer_follows_the_schedule_update_by_update():
    schedule = schedules.cosine(PEAK, LENGTH, warmup="4st")
    variable = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(schedule)
    optimizer.build([variable])
    before, moved = 0.0, []
    for _ in range(6):
        optimizer.apply([tf.constant(1.0)], [variable])
        moved.append(before - variable.numpy())
        before = variable.numpy()
    np.testing.assert_allclose(moved, rates(schedule, 6), rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", ["step", "exponential", "cosine", "one_cycle", "polynomial"])
def test_a_graph_computes_the_same(name, jit_compile):
    schedule = getattr(schedules, name)(PEAK, LENGTH, warmup="4st")
    compiled = tf.function(schedule, jit_compile=jit_compile)
    found = [float(compiled(tf.constant(step, tf.int64))) for step in range(0, TOTAL, 3)]
    np.testing.assert_allclose(found, rates(schedule)[::3], rtol=1e-5)


# ---- saving


@pytest.mark.parametrize("warmup", ["0st", "5st"])
@pytest.mark.parametrize("name", [n for n in schedules.__all__ if n.islower()])
def test_the_config_round_trips(name, warmup):
    schedule = getattr(schedules, name)(PEAK, LENGTH, warmup=warmup)
    if isinstance(schedule, float):
        return
    config = keras.optimizers.schedules.serialize(schedule)
    same = keras.optimizers.schedules.deserialize(config)
    assert type(same) is type(schedule)
    np.testing.assert_array_equal(rates(same), rates(schedule))
    optimizer = keras.optimizers.Adam(schedule)
    copy = keras.optimizers.Adam.from_config(optimizer.get_config())
    assert float(copy.learning_rate) == pytest.approx(float(schedule(0)))


# ---- what is refused

REFUSED = [
    ("linear", {"warmup": "5ep"}, LENGTH, "schedule.warmup is 50 steps, but the run has 40"),
    ("constant", {"warmup": "41st"}, LENGTH, "schedule.warmup is 41 steps, but the run has 40"),
    ("linear", {"final_fraction": 2}, LENGTH, "schedule.final_fraction=2: a share of the peak"),
    ("cosine", {"final_fraction": -0.1}, LENGTH, "schedule.final_fraction=-0.1: a share"),
    ("polynomial", {"power": 0}, LENGTH, "schedule.power=0: must be above 0"),
    ("exponential", {"factor": 1.0}, LENGTH, "schedule.factor=1.0: must be above 0 and below 1"),
    ("step", {"factor": 0.0}, LENGTH, "schedule.factor=0.0: must be above 0 and below 1"),
    ("step", {"at": ["75%", "50%"]}, LENGTH, r"schedule.at=\[75%, 50%\]: durations in rising"),
    ("step", {"at": []}, LENGTH, r"schedule.at=\[\]: durations in rising order, at least one"),
    ("step", {"at": ["10%"], "warmup": "50%"}, LENGTH, "the first change is at step 4, within"),
    ("one_cycle", {"warmup": "60%"}, LENGTH, "schedule.warmup=60%: a cycle falls for as long"),
    ("one_cycle", {"initial_fraction": 3}, LENGTH, "schedule.initial_fraction=3: a share"),
    ("linear", {"warmup": "1ep"}, IN_MINUTES, "no known end to decay to; choose schedule=const"),
    ("one_cycle", {"warmup": "1ep"}, IN_MINUTES, "no known end to decay to; choose schedule=con"),
    ("exponential", {"every": "10%"}, IN_MINUTES, "10% is no number of steps here"),
]


@pytest.mark.parametrize(("name", "arguments", "length", "message"), REFUSED)
def test_a_schedule_that_makes_no_sense_is_refused(name, arguments, length, message):
    with pytest.raises(ValueError, match=message):
        getattr(schedules, name)(PEAK, length, **arguments)


def test_what_the_classes_refuse():
    with pytest.raises(ValueError, match="warmup_steps=-1: must be at least 0"):
        WarmUp(0.1, -1)
    with pytest.raises(ValueError, match="must be equally many"):
        PiecewiseLinear([0, 1], [0.1])
    with pytest.raises(ValueError, match="each must be after the one before"):
        PiecewiseLinear([0, 1, 1], [0.1, 0.2, 0.3])
