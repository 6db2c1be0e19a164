"""CroppedConv2D is Keras' Conv2D, where that one is right."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import CroppedConv2D

# Sides of image and kernel, stride: kernels that fit, and that reach beyond on one or both sides.
SHAPES = [(8, 3, 1), (4, 7, 1), (2, 7, 1), (1, 3, 1), (2, 3, 2), (3, 4, 1), (1, 4, 2), (5, 1, 2)]


def pair(size, stride, filters, image_shape, dtype=None, **kwargs):
    layers = [
        kind(filters, size, stride, "same", dtype=dtype, name="conv", **kwargs)
        for kind in (CroppedConv2D, keras.layers.Conv2D)
    ]
    for layer in layers:
        layer.build((None, *image_shape))
    layers[1].set_weights(layers[0].get_weights())
    return layers


def outputs_and_gradients(layer, images):
    @tf.function
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
            loss = tf.reduce_sum(tf.sin(tf.cast(outputs, tf.float32)))
        return outputs, *tape.gradient(loss, [images, layer.kernel.value])

    return [np.asarray(tf.cast(value, tf.float32)) for value in run(images)]


@pytest.mark.parametrize(("length", "size", "stride"), SHAPES)
def test_outputs_and_gradients_are_those_of_keras(length, size, stride):
    images = tf.constant(
        np.random.default_rng(0).normal(size=(2, length, length + 2, 3)), "float32"
    )
    cropped, original = pair(size, stride, 4, images.shape[1:])
    for value, expected in zip(
        outputs_and_gradients(cropped, images),
        outputs_and_gradients(original, images),
        strict=True,
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("length", "size", "stride"), [(2, 7, 1), (1, 5, 1), (2, 3, 2)])
def test_weights_that_meet_no_pixel_have_zero_gradients_in_bfloat16(length, size, stride):
    # Wide enough for the kernel of oneDNN that gives Keras' layer other gradients (2x2 and 1x1).
    images = tf.constant(np.random.default_rng(0).normal(size=(64, length, length, 128)), "float32")
    _, original = pair(size, stride, 128, images.shape[1:])
    mixed, _ = pair(size, stride, 128, images.shape[1:], dtype="mixed_bfloat16")
    mixed.set_weights(original.get_weights())
    _, _, gradient = outputs_and_gradients(mixed, images)
    _, _, exact = outputs_and_gradients(original, images)
    unmet = ~exact.any((2, 3))
    assert unmet.any()
    assert not gradient[unmet].any()
    np.testing.assert_allclose(gradient, exact, atol=0.05 * np.abs(exact).max())


def test_sums_over_weights_are_as_exact_in_bfloat16_as_their_result():
    images = tf.constant(np.random.default_rng(0).normal(size=(16, 4, 4, 64)), "float32")
    _, original = pair(7, 1, 64, images.shape[1:])
    mixed, _ = pair(7, 1, 64, images.shape[1:], dtype="mixed_bfloat16")
    mixed.set_weights(original.get_weights())
    for value, exact in zip(
        outputs_and_gradients(mixed, images), outputs_and_gradients(original, images), strict=True
    ):
        # 0.0033 is what rounded operands make of it; with partial sums in bfloat16 it was 0.0052.
        assert np.sqrt(np.mean((value - exact) ** 2) / np.mean(exact**2)) < 0.004


def operations(layer, images):
    graph = tf.function(layer).get_concrete_function(images).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize(
    ("length", "size", "devices", "product"),
    [
        (4, 7, ["CPU:0"], "MatMul"),
        (2, 3, ["CPU:0"], "MatMul"),
        (8, 5, ["CPU:0"], "Conv2D"),
        (4, 7, ["GPU:0"], "Conv2D"),
    ],
)
def test_the_sum_is_over_weights_where_padding_prevails_on_cpus(
    length, size, devices, product, monkeypatch
):
    def logical_devices(kind=None):
        return [name for name in devices if kind is None or name.startswith(kind)]

    monkeypatch.setattr(tf.config, "list_logical_devices", logical_devices)
    layer, _ = pair(size, 1, 4, (length, length, 3))
    images = tf.zeros((2, length, length, 3))
    assert operations(layer, images) & {"MatMul", "Conv2D"} == {product}


@pytest.mark.parametrize("kwargs", [{"dilation_rate": 2}, {"padding": "valid"}])
def test_leaves_the_rest_to_keras(kwargs):
    images = np.ones((1, 5, 5, 2), "float32")
    layer = CroppedConv2D(4, 3, **{"padding": "same", **kwargs})
    original = keras.layers.Conv2D(4, 3, **{"padding": "same", **kwargs})
    original.build(images.shape)
    layer.build(images.shape)
    original.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(images), original(images))
