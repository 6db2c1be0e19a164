"""Floating-point operations of a traced graph: two for each multiply-add."""

import math
from collections import Counter
from collections.abc import Callable, Iterable

import tensorflow as tf

COUNTED = "2 FLOPs a multiply-add, of convolutions and matrix products"

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
UNCOUNTED_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")
"""Operations whose inner ones run as often as the values say."""


def flops_of(operations: Iterable[tf.Operation]) -> int:
    """Return the floating-point operations of operations of a graph and the functions they call.

    Counted are convolutions, also transposed ones, matrix products and sums of products of two
    tensors (`einsum`), which are nearly all of a network's work. Normalization, activations,
    pooling, biases and what runs in loops are not.

    Args:
        operations: with static shapes.
    """
    return sum(_flops(operation) for operation in operations)


def loops_among(operations: Iterable[tf.Operation]) -> Counter[str]:
    """Return how many operations hold others that are not counted, by their type."""
    found: Counter[str] = Counter()
    for operation in operations:
        if operation.type in UNCOUNTED_LOOPS:
            found[operation.type] += 1
        if operation.type in _CALLS:
            found += loops_among(_inner(operation))
    return found


def _flops(operation: tf.Operation) -> int:
    if operation.type in _CALLS:
        return flops_of(_inner(operation))
    multiply_adds = _MULTIPLY_ADDS.get(operation.type)
    return 2 * multiply_adds(operation) if multiply_adds else 0


def _inner(operation: tf.Operation) -> list[tf.Operation]:
    name = operation.get_attr("f").name
    function = operation.graph._get_function(name)
    return function.graph.get_operations() if function else []


def _size(tensor: tf.Tensor) -> int:
    return tensor.shape.num_elements() or 0


def _convolution(operation: tf.Operation) -> int:
    """Each output is a sum over the window [..., inputs of its group] of the filter."""
    window = operation.inputs[1].shape[:-1]
    return _size(operation.outputs[0]) * (window.num_elements() or 0)


def _depthwise(operation: tf.Operation) -> int:
    window = operation.inputs[1].shape[:2]
    return _size(operation.outputs[0]) * (window.num_elements() or 0)


def _transposed_convolution(operation: tf.Operation) -> int:
    """Each input (the third argument) is multiplied by the filter's window [..., outputs]."""
    window = operation.inputs[1].shape[:-1]
    return _size(operation.inputs[2]) * (window.num_elements() or 0)


def _product(transposed: str) -> Callable[[tf.Operation], int]:
    def multiply_adds(operation: tf.Operation) -> int:
        inner = operation.inputs[0].shape[-2 if operation.get_attr(transposed) else -1]
        return _size(operation.outputs[0]) * (inner or 0)

    return multiply_adds


def _einsum(operation: tf.Operation) -> int:
    if len(operation.inputs) != 2:
        return 0
    terms = operation.get_attr("equation").decode().replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs, strict=True):
        before, has_more, after = term.partition("...")
        shape = [size or 0 for size in tensor.shape]
        end = len(shape) - len(after)
        sizes |= dict(zip(before, shape, strict=False)) | dict(zip(after, shape[end:], strict=True))
        if has_more:
            sizes["..."] = max(sizes.get("...", 0), math.prod(shape[len(before) : end]))
    return math.prod(sizes.values())


_MULTIPLY_ADDS: dict[str, Callable[[tf.Operation], int]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "MatMul": _product("transpose_a"),
    "BatchMatMul": _product("adj_x"),
    "BatchMatMulV2": _product("adj_x"),
    "BatchMatMulV3": _product("adj_x"),
    "Einsum": _einsum,
}
