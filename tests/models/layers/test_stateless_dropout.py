import numpy as np
import pytest
import tensorflow as tf
from toy import toy_model, toy_trainer, weights

from models.layers import StatelessDropout
from trainer import distribution

ONES = tf.ones([400, 50])


def dropped(layer, key, **arguments):
    layer.stateless_key = tf.constant(key, tf.int64)
    return layer(ONES, training=True, **arguments).numpy()


def test_a_share_is_dropped_and_the_mean_is_kept():
    outputs = dropped(StatelessDropout(0.3), [1, 2])
    assert set(np.unique(outputs)) == {0.0, np.float32(1 / 0.7)}
    assert (outputs == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert outputs.mean() == pytest.approx(1.0, abs=0.02)


def test_the_mask_is_a_function_of_the_key():
    layer = StatelessDropout(0.5)
    np.testing.assert_array_equal(dropped(layer, [1, 2]), dropped(layer, [1, 2]))
    assert not np.array_equal(dropped(layer, [1, 2]), dropped(layer, [1, 3]))
    assert not np.array_equal(dropped(layer, [1, 2]), dropped(layer, [2, 2]))


def test_inference_changes_nothing_and_nothing_needs_saving():
    layer = StatelessDropout(0.5)
    np.testing.assert_array_equal(layer(ONES), ONES)
    assert layer.variables == []


def test_without_a_key_masks_still_differ():
    layer = StatelessDropout(0.5)
    assert not np.array_equal(layer(ONES, training=True), layer(ONES, training=True))


def test_replicas_draw_different_masks():
    strategy = distribution.mirrored(2)
    layer = StatelessDropout(0.5)
    layer.stateless_key = tf.constant([1, 2], tf.int64)
    one, two = strategy.experimental_local_results(
        tf.function(lambda: strategy.run(lambda: layer(ONES, training=True)))()
    )
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("jit", [False, True])
def test_in_a_trainer_masks_differ_by_step_and_layer_and_come_back(jit):
    def trainer():
        layers = [StatelessDropout(0.5), StatelessDropout(0.5)]
        return toy_trainer(model=toy_model(*layers), jit=jit)

    one, two, other = trainer(), trainer(), trainer()
    one.train_chunk(0, 6)
    two.train_chunk(0, 2), two.train_chunk(2, 4)
    other.train_chunk(0, 2), other.train_chunk(3, 4)
    for a, b, c in zip(weights(one), weights(two), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("rate", [-0.1, 1.0, "half"])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="0 <= rate < 1"):
        StatelessDropout(rate)
