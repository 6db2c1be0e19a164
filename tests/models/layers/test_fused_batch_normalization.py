"""The fused layer against Keras' own, in everything that training can see."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import FusedBatchNormalization
from trainer import distribution

CHANNELS = 5
VARIABLES = ("gamma", "beta", "moving_mean", "moving_variance")


def make_pair(**kwargs):
    """A Keras layer and a fused one with the same random variables."""
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0.5, 2.0, CHANNELS) for name in VARIABLES}
    layers = keras.layers.BatchNormalization(**kwargs), FusedBatchNormalization(**kwargs)
    for layer in layers:
        layer.build((None, 4, 4, CHANNELS))
        for variable in layer.variables:
            variable.assign(values[variable.name])
    return layers


def images(*shape, seed=1):
    return np.random.default_rng(seed).normal(3.0, 2.0, (*shape, CHANNELS)).astype("float32")


def run(layer, inputs, training):
    """Outputs, gradients of a loss that weights every output differently, moving statistics."""
    inputs = tf.cast(inputs, layer.compute_dtype)
    weights = tf.constant(np.random.default_rng(2).normal(size=inputs.shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(weights * tf.sin(tf.cast(outputs, tf.float32)))
    gradients = tape.gradient(loss, [inputs, *[v.value for v in layer.trainable_variables]])
    assert outputs.dtype == layer.compute_dtype
    moving = [layer.moving_mean, layer.moving_variance]
    arrays = [outputs, *gradients, *[v.value for v in moving]]
    return [tf.cast(array, tf.float32).numpy() for array in arrays]


def assert_equal_runs(layers, inputs, training, **tolerance):
    expected, actual = (run(layer, inputs, training) for layer in layers)
    assert len(expected) == len(actual)
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(other, one, **tolerance)


def ops_of(layer, shape, training=True):
    """The types of the operations that a call runs."""
    spec = tf.TensorSpec(shape, layer.compute_dtype)
    graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(spec).graph
    return {op.type for op in graph.get_operations()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "flags", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}]
)
def test_equals_keras_in_float32(training, flags):
    pair = make_pair(momentum=0.7, epsilon=1e-2, **flags)
    assert_equal_runs(pair, images(6, 4, 4), training, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_equals_keras_in_half_precision(training, dtype):
    # Both keep statistics in float32; they round the normalized values at different points.
    expected, actual = (run(layer, images(6, 4, 4), training) for layer in make_pair(dtype=dtype))
    for one, other in zip(expected[:-2], actual[:-2], strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(other, one, atol=0.02 * scale)
    for one, other in zip(expected[-2:], actual[-2:], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5)


def test_variables_are_those_of_keras():
    expected, actual = make_pair()
    assert [(v.name, v.shape, v.trainable) for v in actual.variables] == [
        (v.name, v.shape, v.trainable) for v in expected.variables
    ]
    assert actual.synchronized


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1)])
def test_moving_variance_averages_the_biased_variance(shape):
    # n = 1 has no unbiased variance, and for n = 2 it is twice the biased one.
    layer = make_pair(momentum=0.0)[1]
    inputs = images(*shape)
    layer(inputs, training=True)
    np.testing.assert_allclose(layer.moving_variance, inputs.var((0, 1, 2)), rtol=1e-5, atol=1e-6)


def test_frozen_layer_uses_and_keeps_its_moving_statistics():
    pair = make_pair()
    for layer in pair:
        layer.trainable = False
    before = pair[1].moving_mean.numpy()
    assert_equal_runs(pair, images(6, 4, 4), True, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(pair[1].moving_mean, before)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_takes_an_unknown_batch_size_in_a_graph(jit_compile):
    expected, actual = make_pair()
    signature = [tf.TensorSpec((None, 4, 4, CHANNELS), tf.float32)]
    step = tf.function(
        lambda x: actual(x, training=True), input_signature=signature, jit_compile=jit_compile
    )
    for batch_size in (3, 6):
        inputs = images(batch_size, 4, 4)
        outputs = expected(inputs, training=True)
        np.testing.assert_allclose(step(inputs), outputs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(actual.moving_variance, expected.moving_variance, rtol=1e-5)


def test_runs_the_fused_kernel_on_images():
    for dtype in ("float32", "mixed_bfloat16", "mixed_float16"):
        for training in (True, False):
            layer = make_pair(dtype=dtype)[1]
            assert "FusedBatchNormV3" in ops_of(layer, (None, 4, 4, CHANNELS), training)


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({}, (8, CHANNELS)),
        ({}, (8, 3, CHANNELS)),
        ({"axis": 1}, (8, CHANNELS, 4, 4)),
        ({"dtype": "float64"}, (8, 4, 4, CHANNELS)),
        ({"renorm": True}, (8, 4, 4, CHANNELS)),
    ],
)
def test_leaves_other_inputs_to_keras(kwargs, shape):
    layers = keras.layers.BatchNormalization(**kwargs), FusedBatchNormalization(**kwargs)
    inputs = np.random.default_rng(0).normal(size=shape)
    outputs = [layer(tf.cast(inputs, layer.compute_dtype), training=True) for layer in layers]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)
    assert "FusedBatchNormV3" not in ops_of(layers[1], shape)


def test_honours_a_mask():
    expected, actual = make_pair()
    inputs, mask = images(6, 4, 4), np.random.default_rng(3).random((6, 4, 4)) < 0.5
    outputs = [layer(inputs, training=True, mask=mask) for layer in (expected, actual)]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actual.moving_mean, expected.moving_mean, rtol=1e-5)


def test_functional_model_saves_and_loads(tmp_path):
    image = keras.Input((4, 4, CHANNELS))
    outputs = FusedBatchNormalization(momentum=0.5, name="batch_norm")(image)
    assert outputs.shape == (None, 4, 4, CHANNELS)
    model = keras.Model(image, outputs)
    model(images(6, 4, 4), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("batch_norm")) is FusedBatchNormalization
    np.testing.assert_array_equal(loaded(images(3, 4, 4)), model(images(3, 4, 4)))


def test_two_replicas_equal_one_device_on_the_whole_batch():
    inputs = images(8, 4, 4)
    weights = images(8, 4, 4, seed=2)

    def outputs_and_gradients(layer, x, w):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(w * tf.sin(outputs))
        return outputs, tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    single = make_pair()[1]
    expected, (dx, dgamma, dbeta) = outputs_and_gradients(single, tf.constant(inputs), weights)

    strategy = distribution.mirrored(2)
    with strategy.scope():
        mirrored = make_pair()[1]

    def halves(array):
        parts = np.split(array, 2)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    @tf.function
    def step(x, w):
        return strategy.run(outputs_and_gradients, args=(mirrored, x, w))

    outputs, gradients = step(halves(inputs), halves(weights))
    outputs, dx_2, dgamma_2, dbeta_2 = (
        strategy.experimental_local_results(value) for value in (outputs, *gradients)
    )
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(np.concatenate(outputs), expected, **close)
    np.testing.assert_allclose(np.concatenate(dx_2), dx, **close)
    np.testing.assert_allclose(sum(dgamma_2), dgamma, **close)
    np.testing.assert_allclose(sum(dbeta_2), dbeta, **close)
    for name in ("moving_mean", "moving_variance"):
        for value in strategy.experimental_local_results(getattr(mirrored, name).value):
            np.testing.assert_allclose(value, getattr(single, name), rtol=1e-5)
