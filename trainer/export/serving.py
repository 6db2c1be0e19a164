"""The model as a user wants it: raw inputs in, predictions out, nothing else to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from trainer.data.data import model_inputs
from trainer.predictions import activated, link, of_output
from trainer.trained_model import TrainedModel

IMAGE = "image"
SIGNATURE = "serving_default"  # what TensorFlow Serving asks for


@dataclass(frozen=True)
class Output:
    """One of a model's predictions.

    Args:
        name: in the exported file.
        activation: `softmax`, `sigmoid` or `linear`, of the logits or values.
        shape: of one example.
        class_names: what each column is of; empty for values.
    """

    name: str
    activation: str
    shape: tuple[int | None, ...]
    class_names: tuple[str, ...]


class Serving(tf.Module):
    """A trained model with its preprocessing before it and its link behind it.

    `image` is uint8 [B, H, W, C], pixels from 0 to 255 as they come, in the size that the model was
    trained on; it is scaled and standardised here. Other inputs are taken as they are. Outputs are
    a dict by name: of a single one `probabilities`, or `values` where it is a regression. A model
    that tells two classes apart by one output gives both probabilities, so that the columns are
    those of the class names.

    Attributes:
        specs: of the inputs, the batch size unknown, in the model's order.
        outputs: what comes out.
        model_outputs: what comes out of the model inside; the name of a single one is `outputs`.
        serve: the traced function, its arguments those of `specs`.

    Args:
        trained: whose model is served; it is not copied.
    """

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__(name="serving")
        self.specs = [_spec(name, spec) for name, spec in trained.inputs.items()]
        self._trained = trained
        # A SavedModel holds the variables that it finds here.
        self._variables = [variable.value for variable in trained.model.variables]
        self.serve = tf.function(self._serve, input_signature=self.specs, autograph=False)
        zeros = [tf.zeros([1, *spec.shape[1:]], spec.dtype) for spec in self.specs]
        outputs = trained.model(self._inputs(*zeros), training=False)
        kinds = links(trained, outputs)
        found = predictions(trained, outputs)
        named = outputs if isinstance(outputs, Mapping) else {"outputs": outputs}
        self.outputs = [
            # Both probabilities of a sigmoid are the softmax of the logits 0 and its own.
            self._output(name, kind if found[name].shape == one.shape else "softmax", found[name])
            for (name, kind), one in zip(kinds.items(), named.values(), strict=True)
        ]
        self.model_outputs = [
            self._output(name, kind, one)
            for (name, one), kind in zip(named.items(), kinds.values(), strict=True)
        ]

    @property
    def model(self) -> keras.Model:
        """The model inside, which takes standardised inputs."""
        return self._trained.model

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the data that the model was trained on."""
        return self._trained.class_names

    @property
    def concrete(self) -> Any:
        """The one trace of `serve`."""
        return self.serve.get_concrete_function()

    def _output(self, name: str, kind: str, tensor: tf.Tensor) -> Output:
        is_of_classes = kind != "linear" and tensor.shape[1:] == [len(self.class_names)]
        class_names = self.class_names if is_of_classes else ()
        return Output(name, kind, tuple(tensor.shape[1:]), class_names)

    def _inputs(self, *tensors: tf.Tensor) -> Any:
        batch = {spec.name: tensor for spec, tensor in zip(self.specs, tensors, strict=True)}
        return model_inputs(self._trained.transform.evaluation(batch))

    def _serve(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self._trained.model(self._inputs(*tensors), training=False)
        return predictions(self._trained, outputs)


def predictions(trained: TrainedModel, outputs: Any) -> dict[str, tf.Tensor]:
    """Return what a model's outputs say, by name.

    Args:
        trained: whose they are.
        outputs: float [B, K], or several by name.

    Returns:
        float32 [B, K] each: probabilities of the classes or labels, or values.
    """
    named = links(trained, outputs)
    if not isinstance(outputs, Mapping):
        outputs = dict.fromkeys(named, outputs)
    found = {}
    for name, kind in named.items():
        found[name] = activated(outputs[name], kind, tf.zeros([0]))
        if kind == "sigmoid" and _tells_two_apart(trained, outputs[name]):
            found[name] = tf.concat([1.0 - found[name], found[name]], axis=-1)
    return found


def links(trained: TrainedModel, outputs: Any) -> dict[str, str]:
    """Return the name of each prediction, and what makes it of the model's outputs."""
    if isinstance(outputs, Mapping):
        return {name: _link(trained, one, name) for name, one in outputs.items()}
    kind = _link(trained, outputs, None)
    return {"values" if kind == "linear" else "probabilities": kind}


def _link(trained: TrainedModel, outputs: tf.Tensor, name: str | None) -> str:
    # `auto` goes by the labels, which are class numbers where one output is for two classes.
    is_of_classes = _tells_two_apart(trained, outputs)
    labels = tf.zeros([0], tf.int32 if is_of_classes else tf.float32)
    return link(of_output(trained.activation, name), outputs, labels)


def _tells_two_apart(trained: TrainedModel, outputs: tf.Tensor) -> bool:
    return outputs.shape[1:] == [1] and len(trained.class_names) == 2


def _spec(name: str, spec: tf.TensorSpec) -> tf.TensorSpec:
    dtype = tf.uint8 if name == IMAGE else spec.dtype
    return tf.TensorSpec([None, *spec.shape], dtype, name)
