"""A loss that runs in Python, once a step."""

import logging
from typing import Any

import tensorflow as tf

from trainer.losses.contract import PerExampleLoss, name_of
from trainer.predictions import activation_of, as_column

logger = logging.getLogger(__name__)


class PythonFunction:
    """A loss whose Python code runs at every step, through `tf.py_function`.

    It may print, branch on values and look anything up. Gradients flow through what it computes
    with TensorFlow, and stop at what it computes with NumPy.

    It costs: the step leaves the graph for Python and waits for its lock, XLA cannot compile it,
    and no second step or device computes meanwhile. Any function of TensorFlow operations is a loss
    without this, and is traced once.

    Args:
        function: `(labels, outputs) -> float [B]`, on eager tensors with values, outputs as the
            model gives them. From a configuration: a node with `_partial_: true`.

    Raises:
        ValueError: if the function's `activation` is not valid.
    """

    def __init__(self, function: PerExampleLoss) -> None:
        self.activation = activation_of(function)
        self.name = name_of(getattr(function, "func", function))
        self._function = function
        logger.warning(
            "loss %s runs in Python at every step (tf.py_function): it is slow, and nothing can be "
            "compiled around it; a function of TensorFlow operations needs no wrapper",
            self.name,
        )

    def __call__(self, labels: Any, outputs: Any) -> tf.Tensor:
        """Return float32 [B].

        Args:
            labels: what the function takes, a tensor or several by name.
            outputs: likewise.

        Raises:
            ValueError: outside a graph, as before training, if no gradient flows to the outputs.
        """
        labels = as_column(labels, outputs)
        if not tf.inside_function():
            return self._with_gradient_checked(labels, outputs)
        structure = (labels, outputs)
        tensors = [tf.convert_to_tensor(tensor) for tensor in tf.nest.flatten(structure)]

        def call(*given: tf.Tensor) -> tf.Tensor:
            as_they_were = [tf.cast(x, was.dtype) for x, was in zip(given, tensors, strict=True)]
            return self._losses(*tf.nest.pack_sequence_as(structure, as_they_were))

        # `tf.py_function` fails on the gradient of integers, which there is none of.
        floats = [x if x.dtype.is_floating else tf.cast(x, tf.float64) for x in tensors]
        losses = tf.py_function(call, floats, tf.float32)
        losses.set_shape(tf.nest.flatten(outputs)[0].shape[:1])
        return losses

    def _losses(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.cast(self._function(labels, outputs), tf.float32)

    def _with_gradient_checked(self, labels: Any, outputs: Any) -> tf.Tensor:
        # In a graph a missing gradient would come as zeros, and training would stand still.
        tensors = tf.nest.map_structure(tf.convert_to_tensor, outputs)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(tensors))
            losses = self._losses(labels, tensors)
        if all(g is None for g in tape.gradient(losses, tf.nest.flatten(tensors))):
            raise ValueError(
                f"loss {self.name}: no gradient flows from it to the outputs; compute it with "
                "TensorFlow's operations, not with NumPy's"
            )
        return losses


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return softmax cross-entropy, as the example of a Python function.

    Args:
        labels: int [B].
        logits: float32 [B, K].

    Returns:
        float32 [B].
    """
    rows = tf.stack([logits[k, label] for k, label in enumerate(labels.numpy())])
    return tf.reduce_logsumexp(logits, axis=-1) - rows
