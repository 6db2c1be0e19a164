"""What a model's outputs answer: which class, which of several labels, or what values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.config import ConfigError
from trainer.predictions import activated, as_classes, link, of_output
from trainer.trained_model import TrainedModel

YES = 0.5  # the probability above which a label holds


class Answer(NamedTuple):
    """How predictions [N, K] of one output are read.

    Attributes:
        kind: `classes` (one of K holds), `labels` (each holds or not), or `values`.
        names: of the K columns.
        num_outputs: K, or 1 where one output tells two classes apart.
    """

    kind: str
    names: tuple[str, ...]
    num_outputs: int


def by_name(tensors: Any) -> dict[str | None, Any]:
    """Return a model's outputs by name, that of a single one being None."""
    return dict(tensors) if isinstance(tensors, Mapping) else {None: tensors}


def answers_of(trained: TrainedModel, outputs: Any) -> dict[str | None, Answer]:
    """Return how the predictions of each output are read.

    Args:
        trained: a run's model.
        outputs: of the model: float [B, K], or several by name; their shapes alone matter.

    Raises:
        ConfigError: if there is an output of another shape.
    """
    found = {}
    for name, output in by_name(outputs).items():
        if len(output.shape) != 2 or output.shape[-1] is None:
            what = f"its output {name}" if name else "its output"
            raise ConfigError(
                f"{trained.model.name}: {what} is {list(output.shape)}, not [B, K]: neither "
                "classes nor values"
            )
        found[name] = _answer(trained, name, output)
    return found


def predictions_of(trained: TrainedModel, outputs: Any) -> dict[str | None, tf.Tensor]:
    """Return probabilities or values, float32 [B, K] by the name of the output; traced.

    One output that tells two classes apart becomes two, those of no and yes.
    """
    predictions = {}
    for name, answer in answers_of(trained, outputs).items():
        output = by_name(outputs)[name]
        activation = of_output(trained.activation, name)
        found = activated(output, activation, _labels_like(trained, name))
        predictions[name] = as_classes(found) if answer.kind == "classes" else found
    return predictions


def _answer(trained: TrainedModel, name: str | None, output: tf.Tensor) -> Answer:
    num_outputs, class_names = output.shape[-1], trained.class_names
    kind = _kind(trained, name, output)
    num_columns = 2 if kind == "classes" and num_outputs == 1 else num_outputs
    if len(class_names) == num_columns and (kind != "values" or num_columns > 1):
        return Answer(kind, class_names, num_outputs)
    if kind == "values" and num_columns == 1:
        return Answer(kind, ("value",), num_outputs)
    return Answer(kind, tuple(map(str, range(num_columns))), num_outputs)


def _kind(trained: TrainedModel, name: str | None, output: tf.Tensor) -> str:
    activation = of_output(trained.activation, name)
    applied = link(activation, output, _labels_like(trained, name))
    label = (trained.labels or {}).get(name)
    num_outputs, num_classes = output.shape[-1], len(trained.class_names)
    if label is not None:
        if applied == "softmax":
            return "classes"
        if label.dtype.is_integer:
            # One output that no sigmoid follows is of any size: a number, and no probability.
            return "values" if num_outputs == 1 and applied != "sigmoid" else "classes"
        return "labels" if applied == "sigmoid" and num_classes else "values"
    # A run that did not write down its labels: what is likely.
    if applied == "softmax":
        return "classes"
    if applied == "sigmoid":
        is_binary = num_outputs == 1 and num_classes == 2
        return "classes" if is_binary else "labels" if num_classes else "values"
    return "classes" if num_outputs == num_classes > 1 else "values"


def _labels_like(trained: TrainedModel, name: str | None) -> tf.Tensor:
    """Labels of the right dtype, which is what the link goes by."""
    label = (trained.labels or {}).get(name)
    if label is None:
        return tf.zeros([1], tf.int32 if trained.class_names else tf.float32)
    return tf.zeros([1, *label.shape], label.dtype)
