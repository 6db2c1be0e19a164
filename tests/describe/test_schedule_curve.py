"""The learning rate of each group against the steps."""

import keras
import numpy as np
from toy import toy_trainer

from trainer.describe.schedule_curve import MOST_POINTS, rate_curves, schedule_section
from trainer.durations import RunLength
from trainer.optimizers import Lookahead, ParameterGroups, set_schedule
from trainer.schedules import linear

LENGTH = RunLength(10, 8, 100)


def scheduled(optimizer, length=LENGTH):
    set_schedule(optimizer, lambda peak: linear(peak, length, warmup="10%"))
    return optimizer


def test_the_curve_is_what_the_optimizer_will_take():
    optimizer = scheduled(keras.optimizers.SGD(0.5))
    (curve,) = rate_curves(optimizer, LENGTH, 1)
    np.testing.assert_array_equal(curve.steps, np.arange(1, 101))
    schedule = linear(0.5, LENGTH, warmup="10%")
    np.testing.assert_allclose(curve.rates, [float(schedule(k)) for k in range(100)], rtol=1e-5)
    assert curve.rates.argmax() == 9 and curve.rates.max() == np.float32(0.5)


def test_groups_have_curves_and_peaks_of_their_own():
    groups = ParameterGroups(
        keras.optimizers.SGD(0.5), {"bias": Lookahead(keras.optimizers.SGD(0.1))}
    )
    curves = rate_curves(scheduled(groups), LENGTH, 1)
    assert [curve.name for curve in curves] == ["all others", "bias"]
    np.testing.assert_allclose([c.rates.max() for c in curves], [0.5, 0.1], rtol=1e-6)


def test_accumulated_updates_are_drawn_over_steps():
    optimizer = scheduled(keras.optimizers.SGD(0.5), LENGTH.in_updates(3))
    (curve,) = rate_curves(optimizer, LENGTH, 3)
    assert len(curve.steps) == 34 and curve.steps[0] == 3 and curve.steps[-1] == 100


def test_long_runs_have_points_enough():
    (curve,) = rate_curves(keras.optimizers.SGD(0.5), RunLength(1000, 8, 10**6), 1)
    assert len(curve.steps) == MOST_POINTS and curve.steps[-1] == 10**6


def test_what_callbacks_do_is_said_to_be_unknown(tmp_path):
    callbacks = [keras.callbacks.ReduceLROnPlateau(monitor="val_loss")]
    trainer = toy_trainer(callbacks=callbacks)
    section = schedule_section(trainer, trainer.run_length("5min"), tmp_path / "rate.png")
    assert section.rows == [["all", "0.01", "0.01", "1", "0.01"]]
    assert section.lines[0].startswith("ReduceLROnPlateau may change the rate")
    assert section.lines[1].startswith("The run ends by the clock")
    assert (tmp_path / section.picture).stat().st_size > 1000
