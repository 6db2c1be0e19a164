"""How much memory training takes: what is known exactly, and an estimate of the activations."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.data.data import model_inputs
from trainer.data.dataset import ArrayOnDisk, Arrays
from trainer.data.streamed_feed import NUM_PREFETCHED
from trainer.describe.section import Section, in_bytes
from trainer.trainer import Trainer

_SAME_BUFFER = ("Identity", "Reshape", "ExpandDims", "Squeeze", "StopGradient", "PreventGradient")
_NO_ACTIVATION = ("ReadVariableOp", "Const", "Placeholder")
_READS_THE_SHAPE = ("Shape", "ShapeN", "Size", "Rank", "BroadcastGradientArgs")


def memory_table(trainer: Trainer, splits: Mapping[str, Arrays]) -> Section:
    """Return the parts of a training step's memory, on each device.

    Args:
        trainer: as built.
        splits: its data.
    """
    model, num_replicas = trainer.model, trainer.strategy.num_replicas_in_sync
    batch_size = trainer.data.global_batch_size // num_replicas
    trained = model.trainable_variables
    rows = {
        "parameters": _variable_bytes(model.variables),
        "gradients": _variable_bytes(trained),
        "optimizer state": _variable_bytes(trainer.optimizer.variables),
        "sums and scale of gradients": _variable_bytes(trainer.updater.variables),
        "moving average of the weights": _variable_bytes(trainer.updater.averages.values()),
    }
    if trainer.on_nonfinite != "ignore":
        what = f"state to go back to (on_nonfinite={trainer.on_nonfinite})"
        rows[what] = _variable_bytes(trainer.variables.values())
    kept, at_work = activation_bytes(trainer, batch_size)
    rows[f"activations, batch of {batch_size:,}"] = kept
    rows["the largest operation at work"] = at_work
    rows["data"] = data_bytes(trainer, splits)
    examples = f"{batch_size:,} examples on each of {num_replicas} devices"
    lines = [
        "An estimate: activations are what one forward pass of the model keeps for its backward "
        f"pass, in {model.compute_dtype}. TensorFlow itself, what kernels need inside and what a "
        "training rule adds come on top.",
    ]
    if num_replicas > 1:
        lines.append(f"On one device: {examples}, and all of the data once.")
    if change := trainer.next_change(0):
        lines.append(
            f"As at the first step: from step {change + 1:,} on a callback has other layers "
            "trained, and more may be kept."
        )
    total = sum(rows.values())
    return Section(
        "Memory",
        ("", "bytes", "share"),
        [[name, in_bytes(n), f"{n / total:.1%}"] for name, n in rows.items() if n],
        ("total", in_bytes(total), ""),
        lines,
    )


def activation_bytes(trainer: Trainer, batch_size: int) -> tuple[int, int]:
    """Return the bytes of the forward pass's tensors that the backward pass reads.

    And the most that one operation takes and makes besides.

    From the graph of both for a batch, traced and not run: so a frozen base keeps nothing, and an
    activation in place of a ReLU's input is counted once.

    Args:
        trainer: as built.
        batch_size: of one device.
    """
    model = trainer.model
    inputs = trainer.data.inputs.items()
    specs = {name: tf.TensorSpec([batch_size, *s.shape], s.dtype) for name, s in inputs}
    # The moments over all replicas are only to be had in a replica: elsewhere the moving ones do.
    training = trainer.strategy.num_replicas_in_sync == 1
    num_forward = 0

    @tf.function(autograph=False)
    def both_passes(batch: dict[str, tf.Tensor]) -> Any:
        nonlocal num_forward
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(model_inputs(batch), training=training))
        num_forward = len(tf.compat.v1.get_default_graph().get_operations())
        gradients = tape.gradient(outputs, model.trainable_variables)
        return [tf.convert_to_tensor(g) for g in gradients if g is not None]

    graph = both_passes.get_concrete_function(specs).graph
    forward = set(graph.get_operations()[:num_forward])
    backward = _needed_for(graph.outputs, forward)
    kept = {}
    for operation in backward:
        for tensor in operation.inputs:
            source = _source(tensor)
            if source.op in forward and source.op.type not in _NO_ACTIVATION:
                kept[source.ref()] = source

    def besides(operation: tf.Operation) -> int:
        sources = {_source(x).ref(): _source(x) for x in [*operation.inputs, *operation.outputs]}
        return sum(_tensor_bytes(x) for ref, x in sources.items() if ref not in kept)

    at_work = max(besides(operation) for operation in forward | backward)
    return sum(_tensor_bytes(tensor) for tensor in kept.values()), at_work


def data_bytes(trainer: Trainer, splits: Mapping[str, Arrays]) -> int:
    """Return the bytes of the arrays in memory, and of the batches read ahead from disk."""
    arrays = {id(array): array for of_split in splits.values() for array in of_split.values()}
    here = sum(a.nbytes for a in arrays.values() if not isinstance(a, ArrayOnDisk))
    ahead = 0
    for array in splits["train"].values():
        if isinstance(array, ArrayOnDisk):
            ahead += NUM_PREFETCHED * trainer.data.global_batch_size * array.nbytes // len(array)
    return here + ahead


def _needed_for(
    tensors: Iterable[tf.Tensor], excluded: Collection[tf.Operation]
) -> set[tf.Operation]:
    """Return the operations that tensors are computed by, but for the excluded ones.

    The tape also writes down gradients that nobody asked for; TensorFlow leaves these out.
    """
    needed: set[tf.Operation] = set()
    ahead = [tensor.op for tensor in tensors]
    while ahead:
        operation = ahead.pop()
        if operation in needed or operation in excluded or operation.type in _READS_THE_SHAPE:
            continue
        needed.add(operation)
        ahead += [tensor.op for tensor in operation.inputs]
    return needed


def _source(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor whose buffer another one shares."""
    while tensor.op.type in _SAME_BUFFER:
        tensor = tensor.op.inputs[0]
    return tensor


def _tensor_bytes(tensor: tf.Tensor) -> int:
    if tensor.dtype in (tf.variant, tf.resource, tf.string):
        return 0
    return (tensor.shape.num_elements() or 0) * tensor.dtype.size


def _variable_bytes(variables: Iterable[keras.Variable]) -> int:
    return sum(int(np.prod(v.shape, dtype=np.int64)) * tf.as_dtype(v.dtype).size for v in variables)
