"""Updates by given gradients, in each way that an optimizer is called."""

import keras
import numpy as np
import tensorflow as tf

from trainer import distribution

WAYS = ("eager", "graph", "XLA", "two replicas")
SHAPES = ((4, 3), (3,))


def random_values(num_steps, seed=0, shapes=SHAPES):
    """Return initial values of some variables, and gradients [steps][variables]."""
    rng = np.random.default_rng(seed)
    steps = [[rng.normal(size=shape) for shape in shapes] for _ in range(num_steps + 1)]
    return steps[0], steps[1:]


def rows(indices, values, num_rows):
    """Return the gradient of some rows of a table."""
    values = tf.constant(values, tf.float32)
    return tf.IndexedSlices(values, tf.constant(indices), tf.constant([num_rows, values.shape[1]]))


def updated(make_optimizer, initial, gradients, way="graph", exclude=()):
    """Return the variables after each update, [steps][variables], and the optimizer.

    Args:
        make_optimizer: called without arguments.
        initial: an array for each variable.
        gradients: [steps][variables], arrays or `tf.IndexedSlices`.
        way: one of `WAYS`.
        exclude: positions of variables without weight decay.
    """
    num_replicas = 2 if way == "two replicas" else 1
    strategy = distribution.mirrored(2) if num_replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        variables = [
            keras.Variable(np.float32(value), name=f"v{k}") for k, value in enumerate(initial)
        ]
        optimizer = make_optimizer()
        if exclude:
            optimizer.exclude_from_weight_decay(var_list=[variables[k] for k in exclude])
        optimizer.build(variables)

    def update(*step):
        # Keras adds the gradients of the replicas.
        strategy.run(lambda: optimizer.apply([_divided(g, num_replicas) for g in step], variables))

    if way != "eager":
        update = tf.function(update, autograph=False, jit_compile=way == "XLA")
    values = []
    for step in gradients:
        update(
            *[g if isinstance(g, tf.IndexedSlices) else tf.constant(g, tf.float32) for g in step]
        )
        values.append([variable.numpy() for variable in variables])
    return values, optimizer


def _divided(gradient, divisor):
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values / divisor
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient / divisor


def assert_close(actual, expected, rtol=1e-5, atol=1e-6):
    """Compare [steps][variables]."""
    assert len(actual) == len(expected)
    for step, (values, others) in enumerate(zip(actual, expected, strict=True)):
        for value, other in zip(values, others, strict=True):
            np.testing.assert_allclose(value, other, rtol, atol, err_msg=f"step {step + 1}")
