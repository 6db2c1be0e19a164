import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.losses import CrossEntropy, OfPredictions, PerOutput, Power
from trainer.predictions import activated, activation_of, as_classes, labels_like

LOGITS = np.array([[1.0, -1.0], [0.0, 3.0]], "float32")
COLUMN = LOGITS[:, :1]
SIGMOID = 1 / (1 + np.exp(-COLUMN))


class OneOfKeras(keras.losses.BinaryCrossentropy):
    pass


class MyLoss(keras.losses.Loss):
    pass


def my_loss(labels, outputs):
    return outputs[:, 0]


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (CrossEntropy(), "softmax"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), "softmax"),
        (keras.losses.SparseCategoricalCrossentropy(), "linear"),
        (keras.losses.CategoricalFocalCrossentropy(from_logits=True), "softmax"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid"),
        (OneOfKeras(from_logits=True), "sigmoid"),
        (keras.losses.BinaryFocalCrossentropy(), "linear"),
        (keras.losses.MeanSquaredError(), "linear"),
        (keras.losses.mean_squared_error, "linear"),
        (keras.losses.Hinge(), "sigmoid"),
        (keras.losses.CategoricalHinge(), "softmax"),
        (Power(), "linear"),
        (OfPredictions(keras.losses.MeanSquaredError()), "auto"),
        (OfPredictions(keras.losses.MeanSquaredError(), "sigmoid"), "sigmoid"),
        (OfPredictions(keras.losses.BinaryCrossentropy(from_logits=True), "linear"), "sigmoid"),
        (OfPredictions(keras.losses.CategoricalHinge(), "linear"), "softmax"),
        (MyLoss(), "auto"),
        (my_loss, "auto"),
        (functools.partial(my_loss), "auto"),
        (
            PerOutput({"a": CrossEntropy(), "b": keras.losses.Huber()}),
            {"a": "softmax", "b": "linear"},
        ),
    ],
    ids=lambda loss: getattr(loss, "name", None),
)
def test_a_loss_knows_what_makes_predictions_of_its_outputs(loss, activation):
    assert activation_of(loss) == activation


def test_a_loss_may_name_its_activation_but_no_other():
    class Named:
        activation = "tanh"

    with pytest.raises(ValueError, match="activation=tanh: choose auto, softmax, sigmoid, linear"):
        activation_of(Named())


@pytest.mark.parametrize(
    ("outputs", "labels", "expected"),
    [
        (LOGITS, np.array([0, 1]), np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)),
        (COLUMN, np.array([0, 1]), SIGMOID),
        (COLUMN, np.array([0.5, 1.5], "float32"), COLUMN),
    ],
)
def test_auto_goes_by_the_number_of_outputs_and_the_kind_of_labels(outputs, labels, expected):
    predictions = activated(tf.constant(outputs), "auto", labels)
    np.testing.assert_allclose(predictions, expected, rtol=1e-6)


def test_several_outputs_have_an_activation_each():
    outputs = {"a": tf.constant(COLUMN), "b": tf.constant(COLUMN, tf.bfloat16)}
    labels = {"a": np.array([0, 1]), "b": np.array([0.0, 1.0])}
    predictions = activated(outputs, {"a": "sigmoid", "b": "linear"}, labels)
    np.testing.assert_allclose(predictions["a"], SIGMOID, rtol=1e-6)
    np.testing.assert_array_equal(predictions["b"], COLUMN)
    assert predictions["b"].dtype == tf.float32
    with pytest.raises(ValueError, match="the loss is of the outputs a, but the output b has none"):
        activated(outputs, {"a": "sigmoid"}, labels)


def test_a_softmax_of_one_output_is_refused():
    with pytest.raises(ValueError, match="of one output it is always 1; use sigmoid"):
        activated(tf.constant(COLUMN), "softmax", np.array([0, 1]))


@pytest.mark.parametrize(
    ("labels", "outputs", "rows"),
    [
        (np.array([1, 0], "int32"), LOGITS, [[0, 1], [1, 0]]),
        (np.array([[1], [0]], "int64"), LOGITS, [[0, 1], [1, 0]]),
        (np.array([1, 0], "int32"), COLUMN, [[1], [0]]),
        (np.array([0.5, 2], "float64"), COLUMN, [[0.5], [2]]),
        (np.array([[1, 1], [0, 1]], "int32"), LOGITS, [[1, 1], [0, 1]]),
        (np.array([2, -1], "int32"), LOGITS, [[np.nan] * 2] * 2),
    ],
)
def test_labels_take_the_shape_of_the_outputs(labels, outputs, rows):
    shaped = labels_like(labels, tf.constant(outputs))
    assert shaped.dtype == tf.float32
    np.testing.assert_array_equal(shaped, rows)


def test_one_probability_is_that_of_the_second_class():
    np.testing.assert_allclose(as_classes(tf.constant([[0.25]])), [[0.75, 0.25]])
