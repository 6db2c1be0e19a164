import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import BATCH_SIZE, toy_arrays, toy_data, toy_model, toy_trainer, weights

from experiments.sam import SAMTrainer
from models.layers import FusedBatchNormalization, StatelessDropout
from trainer import distribution
from trainer.data.order import ShuffledOrder
from trainer.update import Update


def sam_trainer(**arguments):
    return toy_trainer(SAMTrainer, **arguments)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def linear_gradients(kernel, bias, rows):
    features, labels = toy_arrays(70, 0)
    x, y = features[rows], np.eye(3)[labels[rows]]
    error = (softmax(x @ kernel + bias) - y) / len(rows)
    return x.T @ error, error.sum(axis=0)


def sam_by_hand(kernel, bias, batches, rho, learning_rate=0.1):
    """SGD on a linear classifier, each update from batches of rows that are perturbed apart."""
    for window in batches:
        sums = [0.0, 0.0]
        for rows in window:
            g_kernel, g_bias = linear_gradients(kernel, bias, rows)
            step = rho / np.sqrt((g_kernel**2).sum() + (g_bias**2).sum())
            seen = linear_gradients(kernel + step * g_kernel, bias + step * g_bias, rows)
            sums = [total + g / len(window) for total, g in zip(sums, seen, strict=True)]
        kernel, bias = kernel - learning_rate * sums[0], bias - learning_rate * sums[1]
    return kernel, bias


def linear_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Dense(3)])


@pytest.mark.parametrize("num_accumulated", [1, 2])
def test_steps_equal_the_ones_computed_by_hand(num_accumulated):
    trainer = sam_trainer(
        model=linear_model(), optimizer=keras.optimizers.SGD(0.1), rho=0.5,
        update=Update(accumulate_steps=num_accumulated),
    )  # fmt: skip
    before = weights(trainer)
    rows = np.array(list(ShuffledOrder(70, BATCH_SIZE, seed=0).indices(0, 4)))
    expected = sam_by_hand(*before, rows.reshape(-1, num_accumulated, BATCH_SIZE), rho=0.5)
    trainer.fit("4st")
    for value, by_hand in zip(weights(trainer), expected, strict=True):
        np.testing.assert_allclose(value, by_hand, rtol=1e-5, atol=1e-6)


def test_the_weights_come_back_to_the_bit_and_statistics_are_of_the_first_pass():
    def trainer(kind):
        # An update of nothing: what it leaves is what it found.
        optimizer = keras.optimizers.SGD(0.0)
        model = toy_model(FusedBatchNormalization(), keras.layers.Dropout(0.5, seed=1))
        return toy_trainer(kind, model=model, optimizer=optimizer)

    plain, sam = trainer(SAMTrainer.__base__), trainer(SAMTrainer)
    sam.rho = 10.0
    before = weights(sam)
    plain.train_chunk(0, 3), sam.train_chunk(0, 3)
    for a, b in zip(weights(plain), weights(sam), strict=True):
        np.testing.assert_array_equal(a, b)
    changed = [not np.array_equal(a, b) for a, b in zip(before, weights(sam), strict=True)]
    assert sum(changed) == 3  # mean, variance and the dropout's seed
    assert sam.train_metrics.result() == plain.train_metrics.result()


def test_the_masks_of_both_passes_are_the_same():
    # Where every unit is dropped or kept alike, the loss at w + e is higher, by about rho * |g|.
    model = toy_model(StatelessDropout(0.5))
    scalars = sam_trainer(model=model, rho=1e-3).train_chunk(0, 20)
    assert (scalars["sharpness"] > 0).all()
    assert scalars["sharpness"].max() < 0.02


def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(tmp_path):
    def trainer(name):
        model = toy_model(keras.layers.BatchNormalization(), StatelessDropout(0.5))
        return sam_trainer(model=model, run_dir=tmp_path / name)

    whole = trainer("whole")
    whole.fit("12st")
    trainer("parts").fit("5st")
    parts = trainer("parts")
    parts.fit("12st")
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_replicas_make_the_same_perturbation():
    def curves(strategy):
        with strategy.scope():
            trainer = sam_trainer(
                model=toy_model(FusedBatchNormalization()),
                optimizer=keras.optimizers.SGD(0.1, momentum=0.9), strategy=strategy, rho=0.5,
            )  # fmt: skip
        return trainer.train_chunk(0, 6), trainer

    (one, alone), (two, together) = (
        curves(s) for s in (distribution.single_device(), distribution.mirrored(2))
    )
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)
    for a, b in zip(alone.model.variables, together.model.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-3, atol=1e-4)
        first, second = (copy.numpy() for copy in b.value.values)
        np.testing.assert_array_equal(first, second)


def test_a_gradient_that_overflows_in_float16_makes_no_update():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        trainer = sam_trainer(model=toy_model(), rho=0.1)
    finally:
        keras.config.set_dtype_policy("float32")
    scale = trainer.updater._loss_scale._scale
    scale.assign(1e30)
    before = weights(trainer)
    scalars = trainer.train_chunk(0, 1)
    assert not np.isfinite(scalars["gradient_norm"][0])
    assert scalars["sharpness"][0] == 0
    for a, b in zip(before, weights(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
    scale.assign(2.0**10)
    assert np.isfinite(trainer.train_chunk(1, 3)["sharpness"]).all()
    assert not np.array_equal(before[0], weights(trainer)[0])


def test_variables_without_a_gradient_stay_out_of_it():
    class Idle(keras.layers.Layer):
        def build(self, shape):
            self.unused = self.add_weight(shape=(2,), name="unused")

        def call(self, x):
            return x

    trainer = sam_trainer(model=toy_model(Idle()))
    trainer.fit("2st")
    assert trainer.step == 2


@pytest.mark.parametrize("rho", [0, -1.0, float("nan"), float("inf")])
def test_a_radius_out_of_range_is_refused(rho):
    with pytest.raises(ValueError, match=r"rho=.*: above 0 such as 0\.05"):
        sam_trainer(rho=rho, data=toy_data())


def test_a_loss_that_does_not_depend_on_the_model_is_named():
    with pytest.raises(ValueError, match="no variable has a gradient"):
        sam_trainer(loss=lambda labels, _: tf.cast(labels, tf.float32)).fit("1st")
