"""Strategies, and the arithmetic between a global batch and a replica's share of it.

The rule everywhere: a step averages over its replica's share, and what it computed is averaged over
the replicas. Shares are equal in size, so this is the average over the global batch.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def single_device() -> tf.distribute.Strategy:
    """Return the strategy of one device: the first GPU where there is one, else the CPU."""
    return tf.distribute.get_strategy()


def mirrored(num_devices: int | None = None) -> tf.distribute.Strategy:
    """Return a strategy with a replica on each GPU, or on logical CPU devices to try it out.

    Args:
        num_devices: how many replicas, at least 1; None for all GPUs (one CPU where there is
            none). Without a GPU the CPU is divided into that many logical devices.

    Raises:
        ValueError: if there are fewer GPUs, or TensorFlow has started with fewer CPU devices.
    """
    if num_devices is not None and num_devices < 1:
        raise ValueError(f"strategy.num_devices={num_devices}: at least 1, or null for all GPUs")
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and num_devices is not None:
        _divide_cpu(num_devices)
    available = tf.config.list_logical_devices(kind)
    if num_devices is not None and num_devices > len(available):
        raise ValueError(
            f"strategy.num_devices={num_devices}: this machine has {len(available)} {kind} "
            "device(s) for it; choose at most that many"
        )
    return _mirrored(tuple(device.name for device in available[:num_devices]))


def share_of_replica(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return the calling replica's slice of a global batch; traced, in replica context.

    Args:
        batch: key to tensor [B, ...], B divisible by the number of replicas.

    Returns:
        key to tensor [B / replicas, ...].
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return batch
    replica = context.replica_id_in_sync_group

    def share(tensor: tf.Tensor) -> tf.Tensor:
        size = tensor.shape[0] // context.num_replicas_in_sync
        return tf.gather(tensor, replica * size + tf.range(size))

    return {key: share(tensor) for key, tensor in batch.items()}


def mean_over_replicas(values: Any) -> Any:
    """Return the mean over the replicas of each tensor; traced, in replica context."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)


def assign(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> None:
    """Assign to variables in the middle of a step; traced, in replica context.

    Args:
        variables: of a model; a strategy refuses to let a replica assign to most of them.
        values: for each its new value, the same on all replicas: the copies must not drift apart.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return

    def assign_copies(strategy: tf.distribute.Strategy, values: Sequence[Any]) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(variable.value, lambda copy, v: copy.assign(v), args=(value,))

    context.merge_call(assign_copies, args=(list(values),))


def check_batch_size(global_batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Check that a global batch divides evenly over the replicas.

    Raises:
        ValueError: with the nearest sizes that do.
    """
    num_replicas = strategy.num_replicas_in_sync
    if global_batch_size % num_replicas:
        below = global_batch_size // num_replicas * num_replicas
        sizes = " or ".join(str(n) for n in (below, below + num_replicas) if n)
        raise ValueError(
            f"data.batch_size={global_batch_size} does not divide over {num_replicas} replicas; "
            f"choose {sizes}"
        )


def check_variables(variables: list[Any], strategy: tf.distribute.Strategy, what: str) -> None:
    """Check that variables were made under the strategy, since others go silently wrong.

    Raises:
        ValueError: naming the first variable made elsewhere.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    for variable in variables:
        if not strategy.extended.variable_created_in_scope(variable.value):
            raise ValueError(
                f"the {what}'s variable {variable.path!r} was made outside the strategy; "
                f"build the {what} inside `with strategy.scope():`"
            )


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    # One object for a set of devices: several of them give their collectives the same keys, and
    # then a synchronized batch norm fails now and then.
    return tf.distribute.MirroredStrategy(devices)


def _divide_cpu(num_devices: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * num_devices
    try:
        tf.config.set_logical_device_configuration(cpu, logical)
    except RuntimeError:
        # TensorFlow has started: the devices it has are those there will be.
        return
