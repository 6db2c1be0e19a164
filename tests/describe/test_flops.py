"""FLOPs against counts by hand, and against TensorFlow's own profiler."""

import keras
import pytest
import tensorflow as tf

from trainer.describe.flops import flops_of, loops_among
from trainer.describe.layer_calls import forward_pass


def operations(layer, *shape):
    function = tf.function(layer, autograph=False)
    return function.get_concrete_function(tf.TensorSpec([1, *shape])).graph.get_operations()


LAYERS = {  # layer, shape of an example, 2 * multiply-adds
    "dense": (keras.layers.Dense(7), [5], 2 * 5 * 7),
    "dense_over_rows": (keras.layers.Dense(7), [3, 5], 2 * 3 * 5 * 7),
    "conv": (keras.layers.Conv2D(4, 3, 2, "same"), [8, 8, 5], 2 * 4 * 4 * 4 * 3 * 3 * 5),
    "valid_conv": (keras.layers.Conv2D(4, 3), [8, 8, 5], 2 * 6 * 6 * 4 * 3 * 3 * 5),
    "conv_of_two_groups": (
        keras.layers.Conv2D(4, 3, padding="same", groups=2), [8, 8, 6], 2 * 8 * 8 * 4 * 3 * 3 * 3,
    ),
    "depthwise": (
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        [8, 8, 5], 2 * 8 * 8 * 10 * 3 * 3,
    ),
    "separable": (
        keras.layers.SeparableConv2D(7, 3, padding="same"),
        [8, 8, 5], 2 * 8 * 8 * (5 * 3 * 3 + 5 * 7),
    ),
    # Every input spreads over the window; kernel 4 and stride 2 cover each output equally.
    "transposed": (
        keras.layers.Conv2DTranspose(6, 4, 2, "same"), [8, 8, 5], 2 * 8 * 8 * 5 * 4 * 4 * 6,
    ),
    "conv_3d": (keras.layers.Conv3D(2, 3, padding="same"), [4, 4, 4, 3], 2 * 64 * 2 * 27 * 3),
    "einsum": (keras.layers.EinsumDense("abc,cd->abd", (None, 7)), [3, 5], 2 * 3 * 5 * 7),
    "relu": (keras.layers.ReLU(), [8], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_each_multiply_add_counts_two(name):
    layer, shape, expected = LAYERS[name]
    layer.build((None, *shape))
    assert flops_of(operations(layer, *shape)) == expected


def test_a_network_agrees_with_the_profiler():
    model = keras.Sequential([
        keras.Input((9, 9, 3)),
        keras.layers.Conv2D(6, 3, use_bias=False),
        keras.layers.DepthwiseConv2D(3, use_bias=False),
        keras.layers.Flatten(),
        keras.layers.Dense(10, use_bias=False),
    ])  # fmt: skip
    graph = tf.function(model).get_concrete_function(tf.TensorSpec([1, 9, 9, 3])).graph
    options = {**tf.compat.v1.profiler.ProfileOptionBuilder.float_operation(), "output": "none"}
    profile = tf.compat.v1.profiler.profile(graph, options=options)
    found = forward_pass(model, {"image": tf.TensorSpec([9, 9, 3])})
    assert found.root.flops == profile.total_float_ops > 0
    assert sum(call.flops for call in found.root.inner) == found.root.flops


def test_an_einsum_of_any_rank_is_counted_over_all_its_axes():
    kernel = tf.ones([5, 7])
    product = operations(lambda x: tf.einsum("...c,cd->...d", x, kernel), 2, 3, 5)
    assert flops_of(product) == 2 * 2 * 3 * 5 * 7


def test_loops_are_named_and_not_counted():
    layer = keras.layers.LSTM(4)
    layer.build((None, 6, 3))
    assert sum(loops_among(operations(layer, 6, 3)).values()) == 1
