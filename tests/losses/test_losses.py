import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.losses import CrossEntropy, per_example

LOGITS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32") * 3
LABELS = np.array([0, 1, 2, 3, 0, 1], "int32")


def numpy_cross_entropy(targets_, logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(targets_ * log_softmax).sum(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_equals_its_definition(smoothing, soft):
    one_hot = np.eye(4, dtype="float32")[LABELS]
    labels = 0.7 * one_hot + 0.3 * one_hot[::-1] if soft else one_hot
    expected = numpy_cross_entropy(labels * (1 - smoothing) + smoothing / 4, LOGITS)
    losses = CrossEntropy(smoothing)(labels if soft else LABELS, LOGITS)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_a_label_outside_the_classes_is_not_silent():
    with pytest.raises(tf.errors.InvalidArgumentError):
        CrossEntropy()(np.array([4], "int32"), LOGITS[:1])


@pytest.mark.parametrize("value", [-0.1, 1.0, 3])
def test_smoothing_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match=f"label_smoothing={value}"):
        CrossEntropy(value)


def test_a_keras_loss_loses_its_reduction_and_keeps_its_values():
    averaging = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = per_example(averaging)(tf.constant(LABELS), tf.constant(LOGITS))
    np.testing.assert_allclose(losses, numpy_cross_entropy(np.eye(4)[LABELS], LOGITS), rtol=1e-5)
    assert averaging.reduction == "sum_over_batch_size"


def test_keras_functions_are_as_its_classes():
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        losses = per_example(getattr(keras.losses, loss))(LABELS, probabilities)
        expected = numpy_cross_entropy(np.eye(4)[LABELS], LOGITS)
        np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_a_sparse_loss_of_keras_refuses_soft_labels_and_says_what_to_use():
    loss = per_example(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(
        ValueError, match=r"takes integer labels.*use trainer\.losses\.CrossEntropy"
    ):
        loss(np.eye(4, dtype="float32")[LABELS], LOGITS)


def test_a_loss_that_averages_itself_is_refused_by_name():
    def my_loss(labels, logits):
        return tf.reduce_mean(logits)

    with pytest.raises(ValueError, match=r"'my_loss' returned shape \(\).*one value per example"):
        per_example(my_loss)(tf.constant(LABELS), tf.constant(LOGITS))


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (np.ones(3, "float32"), LOGITS[:3], r"class numbers int \[B\].*not float32 \(3,\)"),
        (np.ones((3, 1), "float32"), LOGITS[:3], r"soft labels float \(3, 4\), not .* \(3, 1\)"),
        (LABELS[:3], LOGITS[:3, :1], "compares the outputs of an example, and the model has one"),
        (LABELS[:3], {"a": LOGITS[:3]}, "the outputs a; use trainer.losses.PerOutput"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, logits, message):
    with pytest.raises(ValueError, match=message):
        per_example(CrossEntropy())(labels, logits)


def test_a_sparse_loss_of_keras_refuses_values():
    loss = per_example(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=r"these are values float32 \(6,\)"):
        loss(np.ones(6, "float32"), LOGITS)
