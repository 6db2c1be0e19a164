import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.losses import OfPredictions, PerOutput, Power, per_example

LABELS = tf.constant([0, 2, 1])
LOGITS = tf.constant([[1.0, 0.0, -1.0], [0.5, 0.2, 3.0], [0.0, 0.0, 0.0]])
SOFTMAX = np.asarray(tf.nn.softmax(LOGITS))


def test_of_predictions_activates_the_outputs_and_shapes_the_labels():
    squared = per_example(OfPredictions(keras.losses.MeanSquaredError(), "softmax"))
    expected = ((np.eye(3)[LABELS] - SOFTMAX) ** 2).mean(axis=1)
    np.testing.assert_allclose(squared(LABELS, LOGITS), expected, rtol=1e-5)
    sparse = OfPredictions(keras.losses.SparseCategoricalCrossentropy())
    expected = -np.log(SOFTMAX[np.arange(3), LABELS])
    np.testing.assert_allclose(per_example(sparse)(LABELS, LOGITS), expected, rtol=1e-5)


def test_a_cross_entropy_of_probabilities_is_computed_from_the_logits():
    loss = OfPredictions(keras.losses.CategoricalCrossentropy())
    np.testing.assert_allclose(loss(tf.constant([1]), tf.constant([[1e3, 0.0]])), [1e3])


def test_a_loss_of_logits_takes_no_activation_besides():
    with pytest.raises(ValueError, match="activation=sigmoid: binary_crossentropy takes logits"):
        OfPredictions(keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid")
    with pytest.raises(ValueError, match="activation=tanh: choose auto, softmax"):
        OfPredictions(keras.losses.MeanSquaredError(), "tanh")


@pytest.mark.parametrize("make", [keras.losses.MeanSquaredError, Power, keras.losses.Huber])
def test_a_bare_loss_of_values_compares_class_numbers_with_each_output(make):
    labels, square = tf.constant([0, 1, 1]), LOGITS  # B equals K: broadcasting would fit
    rows = tf.constant(np.eye(3, dtype="float32")[labels])
    np.testing.assert_array_equal(
        per_example(make())(labels, square), make(reduction=None)(rows, square)
        if make is not Power else make()(rows, square),
    )  # fmt: skip


def test_values_get_the_axis_of_the_one_output():
    loss = per_example(keras.losses.MeanAbsoluteError())
    np.testing.assert_allclose(loss(tf.constant([1.0, 2.0]), tf.constant([[0.0], [5.0]])), [1, 3])


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        (tf.ones([3]), LOGITS, r"labels float32 \(3,\) do not fit outputs \(3, 3\)"),
        (tf.ones([3, 2]), LOGITS, r"labels float32 \(3, 2\) do not fit outputs \(3, 3\)"),
        (LABELS, {"a": LOGITS}, "of one output, but the model gives the outputs a; use .*PerOut"),
        ({"a": LABELS}, LOGITS, "of one output, but labels are a; use .*PerOutput"),
    ],
)
@pytest.mark.parametrize("wrap", [OfPredictions, per_example])
def test_what_does_not_fit_is_refused(wrap, labels, outputs, message):
    with pytest.raises(ValueError, match=message) as refusal:
        wrap(keras.losses.MeanSquaredError())(labels, outputs)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("outputs", [LOGITS, LOGITS[:, :1]])
def test_a_class_number_outside_the_outputs_is_not_silent(outputs):
    losses = per_example(keras.losses.MeanSquaredError())(tf.constant([0, 3, 1]), outputs)
    assert np.isnan(losses).tolist() == [False, True, False]


def test_per_output_adds_weighted_losses():
    loss = PerOutput(
        {
            "a": OfPredictions(keras.losses.MeanSquaredError(), "linear"),
            "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        },
        {"a": 0.5},
    )
    values = tf.constant([[1.0], [2.0], [3.0]])
    losses = per_example(loss)({"a": tf.zeros([3]), "b": LABELS}, {"b": LOGITS, "a": values})
    expected = 0.5 * np.array([1, 4, 9]) - np.log(SOFTMAX[np.arange(3), LABELS])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_an_example_of_weight_zero_teaches_no_output_anything():
    loss = per_example(PerOutput({"a": keras.losses.MeanSquaredError(), "b": Power()}))
    outputs = {name: tf.Variable(tf.random.stateless_normal([3, 2], [0, 1])) for name in "ab"}
    labels = {name: tf.zeros([3, 2]) for name in "ab"}
    weight = tf.constant([1.0, 0.0, 2.0])
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(loss(labels, outputs) * weight)
    gradients = tape.gradient(mean, outputs)
    for name, power in (("a", 2), ("b", 4)):
        z = outputs[name].numpy()
        expected = power * z ** (power - 1) / 2 * weight.numpy()[:, np.newaxis] / 3
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        (LABELS, LOGITS, "for a, b, but the model's outputs are one tensor"),
        (LABELS, {"a": LOGITS, "b": LOGITS}, "for a, b, but the data's targets are one tensor"),
        ({"a": LABELS}, {"a": LOGITS, "b": LOGITS}, "the data's targets are a; name a loss"),
        ({"a": LABELS, "b": LABELS}, {"a": LOGITS, "c": LOGITS}, "outputs are a, c; name a loss"),
        (
            {"a": LABELS, "b": tf.ones([3, 2])}, {"a": LOGITS, "b": LOGITS},
            r"output b: labels float32 \(3, 2\) do not fit",
        ),
    ],
)  # fmt: skip
def test_outputs_and_targets_need_the_names_of_the_losses(labels, outputs, message):
    loss = per_example(PerOutput({name: keras.losses.MeanSquaredError() for name in "ab"}))
    with pytest.raises(ValueError, match=message):
        loss(labels, outputs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"c": 1.0}, r"weights\.c: there are losses for a, b"), ({"a": -1.0}, "at least 0")],
)
def test_a_weight_is_of_a_loss_and_not_negative(weights, message):
    with pytest.raises(ValueError, match=message):
        PerOutput({name: keras.losses.MeanSquaredError() for name in "ab"}, weights)


def test_power_goes_on_along_its_tangent():
    error = tf.constant([[-3.0], [0.5], [1.9999], [2.0], [2.0001], [5.0], [1e30]])
    with tf.GradientTape() as tape:
        tape.watch(error)
        losses = Power(3.0, threshold=2.0)(tf.zeros_like(error), error)
    slope = 3 * 2.0**2
    expected = [8 + slope, 0.125, 1.9999**3, 8, 8 + slope * 1e-4, 8 + 3 * slope, slope * 1e30]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    slopes = [-slope, 3 * 0.25, 3 * 1.9999**2, slope, slope, slope, slope]
    np.testing.assert_allclose(tape.gradient(losses, error)[:, 0], slopes, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"), [((0.5,), "exponent=0.5"), ((2.0, 0.0), "threshold=0.0: above 0")]
)
def test_a_power_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Power(*arguments)
