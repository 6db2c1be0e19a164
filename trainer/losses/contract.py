"""What every loss keeps to: one value an example, labels that fit the outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.predictions import as_column, is_integer, is_of_keras, labels_like, num_outputs

PerExampleLoss = Callable[[Any, Any], tf.Tensor]
"""`(labels, outputs) -> [B]`, of tensors or, for several outputs, of dicts of them by name."""

# They compare the outputs of an example with one another.
_OF_SEVERAL_OUTPUTS = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.CategoricalGeneralizedCrossEntropy,
    keras.losses.CategoricalHinge,
    keras.losses.CosineSimilarity,
    keras.losses.KLDivergence,
)
# Keras' losses that want the numbers themselves, beside those named Sparse.
_OF_NUMBERS = (keras.losses.Circle, keras.losses.CTC)


def per_example(loss: PerExampleLoss) -> PerExampleLoss:
    """Return the loss without a reduction of its own, checked to give one value an example.

    Keras' own losses get class numbers as rows of zeros and a one, unless they take numbers; so
    does any loss with an attribute `labels_like_outputs = True`.

    Args:
        loss: a `keras.losses.Loss` with any reduction, or a function
            `(labels, outputs) -> [B]`.

    Raises:
        ValueError: when called, if the loss does not return shape [B], or labels and outputs are
            not such as it takes.
    """
    if isinstance(loss, keras.losses.Loss):
        loss = _without_reduction(loss)
    of_keras, of_classes = is_of_keras(loss), takes_class_numbers(loss)
    is_of_a_user = not of_keras and not type(loss).__module__.startswith("trainer.")

    def checked(labels: Any, outputs: Any) -> tf.Tensor:
        if of_keras or getattr(loss, "labels_like_outputs", False):
            labels, outputs = one_output(loss, labels, outputs)
            check_num_outputs(loss, outputs)
            if not of_classes and not isinstance(loss, _OF_NUMBERS):
                labels = labels_like(labels, outputs)
        elif is_of_a_user:
            labels = as_column(labels, outputs)
        if of_classes:
            check_class_numbers(loss, labels)
        try:
            values = tf.cast(loss(labels, outputs), tf.float32)
        except ValueError as error:
            if not is_of_a_user or isinstance(labels, Mapping) or not is_integer(labels):
                raise
            raise ValueError(
                f"loss {name_of(loss)} does not take the integer labels {labels.shape} that an "
                f"evaluation has; use trainer.losses.CrossEntropy ({str(error).splitlines()[0]})"
            ) from error
        if values.shape.rank != 1:
            raise ValueError(
                f"loss {name_of(loss)!r} returned shape {values.shape} for labels "
                f"{_shapes(labels)} and outputs {_shapes(outputs)}; it must return one value per "
                "example, shape [B]: average over the other axes, and leave the batch to the "
                "Trainer"
            )
        return values

    return checked


def takes_class_numbers(loss: PerExampleLoss) -> bool:
    """Return whether a loss is one of Keras' that take integers, which it names Sparse."""
    loss = getattr(loss, "func", loss)  # of `_partial_: true`
    names = [kind.__name__ for kind in type(loss).__mro__] + [getattr(loss, "__name__", "")]
    return any(name.startswith(("Sparse", "sparse_")) for name in names)


def one_output(loss: PerExampleLoss, labels: Any, outputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Return labels and outputs as tensors.

    Raises:
        ValueError: if there are several of either.
    """
    for what, tensors in (("the model gives the outputs", outputs), ("labels are", labels)):
        if isinstance(tensors, Mapping):
            raise ValueError(
                f"loss {name_of(loss)} is of one output, but {what} {', '.join(tensors)}; use "
                "trainer.losses.PerOutput"
            )
    return tf.convert_to_tensor(labels), tf.convert_to_tensor(outputs)


def check_num_outputs(loss: PerExampleLoss, outputs: tf.Tensor) -> None:
    """Check that a loss which compares the outputs of an example has several.

    Raises:
        ValueError: if there is one.
    """
    if isinstance(loss, _OF_SEVERAL_OUTPUTS) and num_outputs(outputs) == 1:
        raise ValueError(f"loss {name_of(loss)} {COMPARES}")


COMPARES = (
    "compares the outputs of an example, and the model has one; use a loss for one output "
    "such as binary_cross_entropy or mse"
)


def check_class_numbers(loss: PerExampleLoss, labels: tf.Tensor) -> None:
    """Check that labels are class numbers.

    Raises:
        ValueError: if they are soft, or values to regress.
    """
    if not tf.as_dtype(labels.dtype).is_floating:
        return
    if len(labels.shape) == 2:
        raise ValueError(
            f"loss {type(loss).__name__} takes integer labels, but mixup or CutMix has made "
            "them soft; use trainer.losses.CrossEntropy"
        )
    raise ValueError(
        f"loss {type(loss).__name__} takes integer labels, but these are values "
        f"{labels.dtype.name} {tuple(labels.shape)}; use a loss of values such as mse"
    )


def name_of(loss: PerExampleLoss) -> str:
    """Return what a loss is called in messages."""
    loss = getattr(loss, "func", loss)  # of `_partial_: true`
    return getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__))


def _shapes(tensors: Any) -> Any:
    if isinstance(tensors, Mapping):
        return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return tensors.shape


def _without_reduction(loss: keras.losses.Loss) -> keras.losses.Loss:
    # An averaging loss would divide by the wrong count: padding, replicas, accumulation.
    # `copy.copy` would go through Keras' saving, which knows registered classes alone.
    same = object.__new__(type(loss))
    same.__dict__.update(loss.__dict__)
    same.reduction = None
    return same
