"""How operations of several seeds become one: convolutions a grouped convolution.

`tf.vectorized_map` runs a convolution whose filters differ between the elements in a loop over
them, which saves nothing: on `digits` a step of 8 seeds costs as much as 8 steps. TensorFlow has no
public way to say how else an operation is vectorized, so this file, and no other, reaches into its
table of converters, for as long as a step is traced.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

_CONVERTERS = pfor._pfor_converter_registry


@contextmanager
def fast_conversion() -> Iterator[None]:
    """Vectorize within the context without a loop over the elements, where it can be done."""
    ours = {
        "Conv2D": _convolution,
        "Conv2DBackpropInput": _gradient_of_input,
        "Conv2DBackpropFilter": _gradient_of_filter,
        "FusedBatchNormV3": _batch_norm,
    }
    before = dict(_CONVERTERS)
    _CONVERTERS.update({name: _or_else(ours[name], before[name]) for name in ours})
    _CONVERTERS["L2Loss"] = _half_sum_of_squares
    try:
        yield
    finally:
        _CONVERTERS.clear()
        _CONVERTERS.update(before)


def _or_else(convert: Callable[[Any], Any], otherwise: Callable[[Any], Any]) -> Any:
    """Return a converter that leaves to TensorFlow's what the other returns None for."""

    def converter(op: Any) -> Any:
        is_usual = op.get_attr("data_format") == b"NHWC"
        converted = convert(op) if is_usual else None
        return otherwise(op) if converted is None else converted

    return converter


def _convolution(op: Any) -> Any:
    if not op.input(1)[1]:
        return None  # one filter for all
    op.stack_inputs()
    x, filters = op.stacked_input(0), op.stacked_input(1)
    y = tf.raw_ops.Conv2D(input=_merged(x), filter=_merged_filters(filters), **_attributes(op))
    return pfor.wrap(_divided(y, filters.shape[0]), True)


def _gradient_of_input(op: Any) -> Any:
    if op.input(0)[1] or not op.input(1)[1]:
        return None
    op.stack_inputs(stack_indices=[1, 2])
    filters, gradient = op.stacked_input(1), op.stacked_input(2)
    num, channels = filters.shape[0], filters.shape[3]
    sizes = op.unstacked_input(0)
    x = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.concat([sizes[:3], [num * channels]], 0),
        filter=_merged_filters(filters),
        out_backprop=_merged(gradient),
        **_attributes(op),
    )
    return pfor.wrap(_divided(x, num), True)


def _gradient_of_filter(op: Any) -> Any:
    if op.input(1)[1]:
        return None
    op.stack_inputs(stack_indices=[0, 2])
    x, gradient = op.stacked_input(0), op.stacked_input(2)
    num, channels = gradient.shape[0], gradient.shape[-1]
    sizes = op.unstacked_input(1)
    filters = tf.raw_ops.Conv2DBackpropFilter(
        input=_merged(x),
        filter_sizes=tf.concat([sizes[:3], [num * channels]], 0),
        out_backprop=_merged(gradient),
        **_attributes(op),
    )
    return pfor.wrap(_divided(filters, num), True)


def _batch_norm(op: Any) -> Any:
    if op.get_attr("is_training"):
        return None  # TensorFlow's merges seeds and channels as here
    op.stack_inputs()
    x, *per_channel = (op.stacked_input(k) for k in range(5))
    scale, offset, mean, variance = (tf.reshape(tensor, [-1]) for tensor in per_channel)
    y = tf.raw_ops.FusedBatchNormV3(
        x=_merged(x), scale=scale, offset=offset, mean=mean, variance=variance,
        epsilon=op.get_attr("epsilon"), is_training=False,
    )[0]  # fmt: skip
    unused = tf.zeros_like(per_channel[2])
    return [pfor.wrap(_divided(y, x.shape[0]), True), *[pfor.wrap(unused, True)] * 5]


def _half_sum_of_squares(op: Any) -> Any:
    op.stack_inputs()
    x = op.stacked_input(0)
    return pfor.wrap(0.5 * tf.reduce_sum(tf.square(x), list(range(1, len(x.shape)))), True)


def _attributes(op: Any) -> dict[str, Any]:
    return {
        "strides": list(op.get_attr("strides")),
        "padding": op.get_attr("padding").decode(),
        "explicit_paddings": list(op.get_attr("explicit_paddings")),
        "dilations": list(op.get_attr("dilations")),
    }


def _merged(x: tf.Tensor) -> tf.Tensor:
    """From [S, B, H, W, C] to [B, H, W, S * C]."""
    num, _, height, width, channels = x.shape
    return tf.reshape(tf.transpose(x, [1, 2, 3, 0, 4]), [-1, height, width, num * channels])


def _merged_filters(filters: tf.Tensor) -> tf.Tensor:
    """From [S, h, w, C, F] to [h, w, C, S * F]: the filters of a group lie side by side."""
    num, height, width, channels, count = filters.shape
    return tf.reshape(
        tf.transpose(filters, [1, 2, 3, 0, 4]), [height, width, channels, num * count]
    )


def _divided(y: tf.Tensor, num: int) -> tf.Tensor:
    """From [B, H, W, S * C] to [S, B, H, W, C]; from [h, w, C, S * F] to [S, h, w, C, F]."""
    sizes = tf.shape(y)
    divided = tf.reshape(y, tf.concat([sizes[:3], [num, sizes[3] // num]], 0))
    divided.set_shape([*y.shape[:3], num, None if y.shape[3] is None else y.shape[3] // num])
    return tf.transpose(divided, [3, 0, 1, 2, 4])
