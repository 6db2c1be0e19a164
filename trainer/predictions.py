"""From a model's outputs to predictions: the link that a loss implies.

Models end in logits, or in values to regress, and the loss knows which: `activation_of` asks it.
Labels come as class numbers; `labels_like` gives them the shape of the predictions.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

ACTIVATIONS = ("auto", "softmax", "sigmoid", "linear")

Activation = str | Mapping[str, str]
"""One of `ACTIVATIONS`, or one by the name of each output."""

_FROM_LOGITS = {
    keras.losses.SparseCategoricalCrossentropy: "softmax",
    keras.losses.CategoricalCrossentropy: "softmax",
    keras.losses.CategoricalFocalCrossentropy: "softmax",
    keras.losses.BinaryCrossentropy: "sigmoid",
    keras.losses.BinaryFocalCrossentropy: "sigmoid",
}
# Scores of any size, positive for yes: these links leave the decision as it is.
_FROM_SCORES = {
    keras.losses.Hinge: "sigmoid",
    keras.losses.SquaredHinge: "sigmoid",
    keras.losses.CategoricalHinge: "softmax",
}


def activation_of(loss: Callable[..., Any]) -> Activation:
    """Return what makes predictions of the outputs that a loss is given.

    That is the loss' attribute `activation` where it has one. Of Keras' own it is softmax or
    sigmoid from logits, and `linear` for the others, which take predictions; otherwise `auto`.

    Args:
        loss: `(labels, outputs) -> [B]`.

    Returns:
        One of `ACTIVATIONS`; for a loss of several outputs, one each by name.

    Raises:
        ValueError: if the attribute is something else.
    """
    found = getattr(loss, "activation", None)
    if isinstance(found, Mapping):
        return {name: check_activation(one) for name, one in found.items()}
    if found is not None:
        return check_activation(found)
    for kind, activation in _FROM_LOGITS.items():
        if isinstance(loss, kind):
            return activation if getattr(loss, "from_logits", False) else "linear"
    for kind, activation in _FROM_SCORES.items():
        if isinstance(loss, kind):
            return activation
    from_logits = getattr(loss, "keywords", {}).get("from_logits", False)  # of `_partial_: true`
    return "linear" if is_of_keras(loss) and not from_logits else "auto"


def check_activation(activation: Any) -> str:
    """Return a valid activation as it is.

    Raises:
        ValueError: if it is not one of `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation}: choose {', '.join(ACTIVATIONS)}")
    return activation


def is_of_keras(loss: Callable[..., Any]) -> bool:
    """Return whether a loss is one of Keras' own, or derived from one."""
    loss = getattr(loss, "func", loss)  # of `_partial_: true`
    kinds = type(loss).__mro__ if isinstance(loss, keras.losses.Loss) else (loss,)
    names = [(getattr(kind, "__name__", ""), kind) for kind in kinds]
    return any(
        name != "Loss" and getattr(keras.losses, name, None) is kind for name, kind in names if name
    )


def is_integer(labels: tf.Tensor) -> bool:
    """Return whether labels are class numbers, and not soft ones or values to regress."""
    return len(labels.shape) == 1 and tf.as_dtype(labels.dtype).is_integer


def as_column(labels: Any, outputs: Any) -> Any:
    """Return values to regress as [B, 1] where there is one output, and other labels as they are.

    Keras' `fit` does so too. Otherwise `outputs - labels` is [B, B], and no shape tells.

    Args:
        labels: float [B] for values, others as they are; several by name.
        outputs: float [B, K]; several by name.
    """
    if isinstance(labels, Mapping) or isinstance(outputs, Mapping):
        return labels
    is_flat = tf.as_dtype(labels.dtype).is_floating and len(labels.shape) == 1
    has_axis = len(outputs.shape) == 2 and outputs.shape[-1] == 1
    return labels[:, tf.newaxis] if is_flat and has_axis else labels


def link(activation: str, outputs: tf.Tensor, labels: tf.Tensor) -> str:
    """Return `softmax`, `sigmoid` or `linear`: what `auto` is here, or else the activation itself.

    `auto` is softmax for several outputs; for one it is sigmoid if labels are class numbers, and
    linear if they are values.

    Args:
        activation: one of `ACTIVATIONS`.
        outputs: float [B, K].
        labels: int [B], or float [B] or [B, K].

    Raises:
        ValueError: for a softmax of one output, which is always 1.
    """
    if activation == "auto":
        if num_outputs(outputs) != 1:
            return "softmax"
        return "sigmoid" if tf.as_dtype(labels.dtype).is_integer else "linear"
    if activation == "softmax" and num_outputs(outputs) == 1:
        raise ValueError(
            "activation=softmax: of one output it is always 1; use sigmoid, or a loss for one "
            "output such as binary_cross_entropy"
        )
    return activation


def activated(outputs: Any, activation: Activation, labels: Any) -> Any:
    """Return predictions: probabilities, or the values to regress.

    Args:
        outputs: float [B, K], or several by name.
        activation: as `activation_of` returns it.
        labels: what they are compared with, of which `auto` needs the dtype; by name too.

    Returns:
        float32 [B, K], or several by name.

    Raises:
        ValueError: if the activation is not one for these outputs.
    """
    if isinstance(outputs, Mapping):
        return {
            name: activated(output, of_output(activation, name), labels[name])
            for name, output in outputs.items()
        }
    logits = tf.cast(outputs, tf.float32)
    kind = link(of_output(activation, None), logits, tf.convert_to_tensor(labels))
    if kind == "linear":
        return logits
    # Keras' own remember their logits, from which its cross-entropies are then computed.
    return keras.ops.softmax(logits) if kind == "softmax" else keras.ops.sigmoid(logits)


def of_output(activation: Activation, name: str | None) -> str:
    """Return the activation of one output.

    Raises:
        ValueError: if activations are by name, and this is none of the names.
    """
    if isinstance(activation, str):
        return activation
    if name is None or name not in activation:
        received = f"the output {name} has none" if name else "there is one output"
        raise ValueError(f"the loss is of the outputs {', '.join(activation)}, but {received}")
    return activation[name]


def labels_like(labels: Any, outputs: tf.Tensor) -> tf.Tensor:
    """Return labels as numbers to compare with each output.

    Class numbers become rows of zeros and a one, or that number itself where there is one output;
    values to regress get the axis of the outputs. A class number that is none of the outputs' gives
    NaN, so that it is not silent.

    Args:
        labels: int [B] or [B, 1], or float [B] or [B, K].
        outputs: float [B, K].

    Returns:
        float32 [B, K].

    Raises:
        ValueError: if the shapes do not fit together.
    """
    labels = tf.convert_to_tensor(labels)
    if outputs.shape.rank != 2:
        return tf.cast(labels, tf.float32)
    num = num_outputs(outputs)
    is_column = labels.shape.rank == 2 and labels.shape[-1] == 1
    if labels.dtype.is_integer and num is not None and (labels.shape.rank == 1 or is_column):
        classes = labels[:, 0] if is_column else labels
        rows = tf.one_hot(classes, num) if num > 1 else tf.cast(classes, tf.float32)[:, tf.newaxis]
        is_class = (classes >= 0) & (classes < max(num, 2))
        return tf.where(is_class[:, tf.newaxis], rows, float("nan"))
    if labels.shape.rank == 1 and num == 1:
        labels = labels[:, tf.newaxis]
    if not labels.shape.is_compatible_with(outputs.shape):
        raise ValueError(
            f"labels {labels.dtype.name} {labels.shape} do not fit outputs {outputs.shape}: a "
            "value for each output is needed, or class numbers; has the model as many outputs "
            "(num_classes) as there are labels?"
        )
    return tf.cast(labels, tf.float32)


def as_classes(probabilities: tf.Tensor) -> tf.Tensor:
    """Return float32 [B, K] with K above 1: of one probability [B, 1], those of no and yes."""
    if num_outputs(probabilities) != 1:
        return probabilities
    probabilities = tf.reshape(probabilities, [-1, 1])
    return tf.concat([1.0 - probabilities, probabilities], axis=-1)


def num_outputs(outputs: tf.Tensor) -> int | None:
    """Return K of outputs [B, K], and 1 of outputs [B]."""
    return 1 if outputs.shape.rank == 1 else outputs.shape[-1]
