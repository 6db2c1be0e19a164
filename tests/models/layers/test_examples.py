"""The layers that are there to be read and copied."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import CustomDropout, Exponential, Linear, MultiplyLayer, StatelessDropout

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def test_multiply_is_the_product_of_two_inputs():
    np.testing.assert_array_equal(MultiplyLayer()([X, 2 * X]), 2 * X * X)
    for inputs in ([X], [X, X, X], X):
        with pytest.raises(ValueError, match="takes two inputs"):
            MultiplyLayer()(inputs)


def test_linear_is_dense_without_activation():
    layer, dense = Linear(3), keras.layers.Dense(3)
    layer.build((None, 4)), dense.build((None, 4))
    assert [v.shape for v in layer.variables] == [(4, 3), (3,)]
    dense.set_weights([layer.kernel.numpy(), np.ones(3)])
    layer.bias.assign(np.ones(3))
    np.testing.assert_allclose(layer(X), dense(X), rtol=1e-6)
    with pytest.raises(ValueError, match="units must be a whole number"):
        Linear(0)


def test_custom_dropout_drops_what_the_models_own_layer_drops():
    ones = tf.ones([400, 50])
    layers = [CustomDropout(0.3), StatelessDropout(0.3)]
    for layer in layers:
        layer.stateless_key = tf.constant([1, 2], tf.int64)
    custom, own = (layer(ones, training=True).numpy() for layer in layers)
    assert (custom == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(custom, own, rtol=1e-6)
    np.testing.assert_array_equal(layers[0](ones, training=False), ones)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_exponential_does_not_overflow(dtype):
    layer = Exponential(dtype=dtype)
    x = tf.constant([-1e4, -1.0, 0.0, 2.0, 11.0, 12.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert np.isfinite(tf.cast(y, tf.float32)).all()
    gradient = tape.gradient(y, x)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(tf.cast(y, tf.float32)[:4], np.exp(x[:4]), rtol=1e-2)
    np.testing.assert_array_equal(gradient[-2:], [0, 0])
    with pytest.raises(ValueError, match="finite number"):
        Exponential(float("inf"))


def test_a_file_of_them_loads_without_running_code(tmp_path):
    inputs = keras.Input((4,))
    x = CustomDropout(0.2)(Linear(4)(inputs))
    model = keras.Model(inputs, Exponential()(MultiplyLayer()([x, inputs])))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(X), model(X))
