"""The model as it is served, beside the same computed with NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.data.transform import Transform
from trainer.export.serving import Serving
from trainer.trained_model import TrainedModel

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
CLASSES = ("ant", "bee", "cow")


def of(num_outputs, activation, class_names, standardised=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(num_outputs)]
    )
    inputs = {"image": tf.TensorSpec([4, 5, 3], tf.float32, "image")}
    transform = Transform(mean=MEAN, std=STD) if standardised else Transform()
    return TrainedModel(model, class_names, inputs, transform, 0, "", activation, None)


def logits(trained, image, standardised=True):
    x = image.astype("float64") / 255
    x = (x - MEAN) / STD if standardised else x
    kernel, bias = (v.numpy() for v in trained.model.layers[-1].weights)
    return x.reshape(len(x), -1) @ kernel + bias


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3)).astype("uint8")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("num_outputs", "activation", "class_names", "name", "expected", "columns"),
    [
        (3, "softmax", CLASSES, "probabilities", softmax, CLASSES),
        (3, "auto", CLASSES, "probabilities", softmax, CLASSES),
        (3, "sigmoid", CLASSES, "probabilities", sigmoid, CLASSES),
        (2, "sigmoid", CLASSES[:2], "probabilities", sigmoid, CLASSES[:2]),
        (1, "linear", (), "values", lambda x: x, ()),
        (1, "auto", (), "values", lambda x: x, ()),
        (3, "linear", CLASSES, "values", lambda x: x, ()),
        *(
            (1, kind, CLASSES[:2], "probabilities",
             lambda x: np.hstack([1 - sigmoid(x), sigmoid(x)]), CLASSES[:2])
            for kind in ("sigmoid", "auto")
        ),
    ],
)  # fmt: skip
def test_pixels_go_in_and_predictions_come_out(
    image, num_outputs, activation, class_names, name, expected, columns
):
    trained = of(num_outputs, activation, class_names)
    serving = Serving(trained)
    found = serving.serve(tf.constant(image))
    assert list(found) == [name] and found[name].dtype == tf.float32
    np.testing.assert_allclose(found[name], expected(logits(trained, image)), atol=2e-5)
    (output,) = serving.outputs
    assert (output.name, output.class_names) == (name, columns)
    assert output.shape == tuple(found[name].shape[1:])
    (own,) = serving.model_outputs
    assert (own.name, own.shape) == ("outputs", (num_outputs,))


def test_columns_whose_sum_is_1_are_said_to_be_so(image):
    kinds = {}
    for num_outputs, activation in ((1, "sigmoid"), (2, "sigmoid"), (2, "softmax")):
        serving = Serving(of(num_outputs, activation, CLASSES[:2]))
        sums = serving.serve(tf.constant(image))["probabilities"].numpy().sum(-1)
        kinds[num_outputs, activation] = serving.outputs[0].activation
        assert (kinds[num_outputs, activation] == "softmax") == np.allclose(sums, 1, atol=1e-5)
    assert kinds == {
        (1, "sigmoid"): "softmax",
        (2, "sigmoid"): "sigmoid",
        (2, "softmax"): "softmax",
    }


def test_images_are_scaled_where_they_are_not_standardised(image):
    trained = of(3, "linear", (), standardised=False)
    found = Serving(trained).serve(tf.constant(image))["values"]
    np.testing.assert_allclose(found, logits(trained, image, standardised=False), atol=2e-5)


def test_batches_of_any_size_take_one_trace(image):
    serving = Serving(of(3, "softmax", CLASSES))
    (spec,) = serving.concrete.inputs[:1]
    assert (spec.shape.as_list(), spec.dtype) == ([None, 4, 5, 3], tf.uint8)
    for size in (1, 7):
        assert serving.serve(tf.constant(image[:size]))["probabilities"].shape == (size, 3)


def test_several_inputs_and_outputs_keep_their_names(image):
    inputs = {
        "features": keras.Input((2,), name="features"),
        "image": keras.Input((4, 5, 3), name="image"),
    }
    x = keras.layers.Concatenate()([keras.layers.Flatten()(inputs["image"]), inputs["features"]])
    heads = {"kind": keras.layers.Dense(3)(x), "size": keras.layers.Dense(1)(x)}
    model = keras.Model(inputs, heads)
    specs = {
        "image": tf.TensorSpec([4, 5, 3], tf.float32, "image"),
        "features": tf.TensorSpec([2], tf.float32, "features"),
    }
    activation = {"kind": "softmax", "size": "linear"}
    transform = Transform(mean=MEAN, std=STD)
    serving = Serving(TrainedModel(model, CLASSES, specs, transform, 0, "", activation, None))
    assert [(spec.name, spec.dtype) for spec in serving.specs] == [
        ("image", tf.uint8), ("features", tf.float32),
    ]  # fmt: skip
    features = np.ones((7, 2), "float32")
    found = serving.serve(tf.constant(image), tf.constant(features))
    taken = {"image": ((image / 255 - MEAN) / STD).astype("float32"), "features": features}
    outputs = model(taken)
    np.testing.assert_allclose(found["kind"], softmax(outputs["kind"].numpy()), atol=1e-5)
    np.testing.assert_allclose(found["size"], outputs["size"], atol=1e-5)
    assert {one.name: one.class_names for one in serving.outputs} == {"kind": CLASSES, "size": ()}
