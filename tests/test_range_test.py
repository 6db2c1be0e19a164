import keras
import numpy as np
import pytest
from toy import toy_trainer

from trainer.durations import RunLength
from trainer.range_test import RangeTest, default_num_steps, range_test, steps_before_divergence
from trainer.trainer import Trainer


def test_the_rate_grows_exponentially_and_the_first_losses_are_those_of_plain_training():
    trainer = toy_trainer(optimizer=keras.optimizers.SGD(0.5))
    found = range_test(trainer, 1e-5, 1.0, 30)
    plain = 1e-5 * (1.0 / 1e-5) ** (np.arange(30) / 29)
    np.testing.assert_allclose(found.learning_rates, plain[: len(found.losses)], rtol=1e-4)

    class Rates(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return keras.ops.take(keras.ops.convert_to_tensor(plain, "float32"), step)

    losses = toy_trainer(optimizer=keras.optimizers.SGD(Rates())).train_chunk(0, 30)["loss"]
    np.testing.assert_allclose(found.losses, losses[: len(found.losses)], rtol=1e-4)


def test_it_stops_where_the_loss_diverges_and_leaves_nothing_behind(tmp_path):
    trainer = toy_trainer(optimizer=keras.optimizers.SGD(0.5), run_dir=tmp_path / "run")
    found = range_test(trainer, 1e-3, 1e9, 60)
    assert found.has_diverged and not found.is_cut_off
    assert 2 < len(found.losses) == len(found.learning_rates) < 60
    assert np.isfinite(found.losses).all()
    assert not (tmp_path / "run").exists()


def test_one_trace_serves_the_whole_test():
    trainer = toy_trainer()
    range_test(trainer, 1e-6, 0.1, 40)
    assert trainer._train_chunk.num_traces == 1


def test_on_a_quadratic_the_suggestions_are_below_where_descent_breaks_down():
    # Gradient descent on (w - 1)^2 / 2 converges below a rate of 2.
    rates = 1e-4 * (1e3 / 1e-4) ** (np.arange(100) / 99)
    w, losses = 0.0, []
    for rate in rates:
        losses.append((w - 1) ** 2 / 2 + 0.01)
        w -= rate * (w - 1)
    kept = steps_before_divergence(np.array(losses), 5)
    found = RangeTest(rates[:kept], np.array(losses[:kept]), 5, True)
    assert 2 < found.learning_rates[-1] < 20
    assert 1e-3 < found.steepest < 2
    lowest = rates[np.argmin(losses[:kept])]
    assert found.tenth_of_lowest == pytest.approx(lowest / 10, rel=0.8)


def test_the_smoothed_loss_is_the_mean_of_a_window():
    losses = np.array([4.0, 1.0, 7.0, 2.0, 9.0, 3.0])
    found = RangeTest(np.arange(1.0, 7.0), losses, 2, False)
    plain = [losses[max(0, k - 2) : k + 3].mean() for k in range(6)]
    np.testing.assert_allclose(found.smoothed, plain)


def test_the_steepest_point_is_where_the_smoothed_loss_falls_fastest_by_the_logarithm():
    rates = np.logspace(-4, 0, 81)
    losses = 2 / (1 + (rates / 1e-2) ** 2)  # as a function of log(rate), steepest at 1e-2
    found = RangeTest(rates, losses, 1, False)
    assert found.steepest == pytest.approx(1e-2, rel=0.15)
    assert found.is_cut_off


def test_a_loss_that_only_varies_suggests_nothing():
    losses = 2 + 0.1 * np.random.default_rng(0).normal(size=100)
    found = RangeTest(np.logspace(-6, 1, 100), losses, 5, False)
    assert not found.has_fallen
    assert (found.steepest, found.tenth_of_lowest) == (None, None)
    assert RangeTest(np.array([1.0]), np.array([2.0]), 1, True).steepest is None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1, 1, 1, 1], 4),
        ([1, 1, 1, 1, np.nan, 1], 4),
        ([np.inf, 1], 0),
        ([2, 1, 1, 1, 10.1, 1], 4),  # (1 + 1 + 10.1) / 3 is just over 4
        ([2, 1, 1, 1, 9.9, 1], 6),
        ([-1, -2, -2, -2, -2, 30], 5),
        ([], 0),
    ],
)
def test_divergence_is_a_trailing_mean_over_four_times_the_lowest(losses, expected):
    assert steps_before_divergence(np.array(losses, float), half_width=1) == expected


def test_where_it_stops_does_not_depend_on_how_far_the_chunk_went_on():
    losses = np.concatenate([np.linspace(2, 1, 20), np.geomspace(1, 1e6, 30)])
    at = steps_before_divergence(losses, 3)
    assert all(steps_before_divergence(losses[:n], 3) == at for n in range(at + 1, 50))


@pytest.mark.parametrize(("steps_per_epoch", "expected"), [(44, 100), (150, 150), (390, 200)])
def test_an_epoch_but_from_100_to_200_steps(steps_per_epoch, expected):
    assert default_num_steps(RunLength(steps_per_epoch, 32)) == expected


def test_a_rule_that_returns_no_loss_is_refused():
    class Silent(Trainer):
        def train_step(self, batch):
            scalars = super().train_step(batch)
            return {"learning_rate": scalars["learning_rate"]}

    with pytest.raises(ValueError, match=r"no 'loss', only \['learning_rate'\]"):
        range_test(toy_trainer(Silent), 1e-6, 1.0, 20)
