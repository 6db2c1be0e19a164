import keras
import numpy as np
import pytest
from toy import toy_data, toy_model, toy_trainer, weights

from models.layers import FusedBatchNormalization
from trainer import distribution


@pytest.fixture(scope="module")
def two_replicas():
    return distribution.mirrored(2)


def trained(strategy, duration, **arguments):
    with strategy.scope():
        trainer = toy_trainer(
            model=toy_model(FusedBatchNormalization()),
            optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
            strategy=strategy,
            **arguments,
        )
    curve = trainer.train_chunk(0, 12)
    return trainer, curve


def test_two_replicas_give_the_losses_and_weights_of_one_device(two_replicas):
    one, curve = trained(distribution.single_device(), "12st")
    two, same_curve = trained(two_replicas, "12st")
    for name in curve:
        np.testing.assert_allclose(same_curve[name], curve[name], rtol=1e-4, atol=1e-5)
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert two.evaluate() == pytest.approx(one.evaluate(), rel=1e-4)
    assert two.train_metrics.result() == pytest.approx(one.train_metrics.result(), rel=1e-4)


def test_a_run_on_two_replicas_is_saved_and_taken_up(two_replicas, tmp_path):
    whole, _ = trained(two_replicas, "12st", run_dir=tmp_path / "whole")
    for duration in ("5st", "12st"):
        with two_replicas.scope():
            parts = toy_trainer(
                model=toy_model(FusedBatchNormalization()),
                optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
                strategy=two_replicas,
                run_dir=tmp_path / "parts",
            )
        parts.fit(duration)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts_made_outside_the_strategy_are_refused(two_replicas):
    optimizer = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match=r"the optimizer's variable .*strategy\.scope"):
        toy_trainer(optimizer=optimizer, strategy=two_replicas, data=toy_data())


def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_do():
    strategy = distribution.mirrored(2)
    with pytest.raises(ValueError, match=r"data\.batch_size=9 .* choose 8 or 10"):
        distribution.check_batch_size(9, strategy)


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"strategy\.num_devices=5: this machine has 2 CPU"):
        distribution.mirrored(5)
    with pytest.raises(ValueError, match=r"strategy\.num_devices=0"):
        distribution.mirrored(0)
