"""Grad-CAM: where in an image a convolution sees what speaks for a class.

Selvaraju et al. 2017 (arXiv 1610.02391). With A the layer's map [H, W, C] and y the class' score
before the softmax:

    weight[c] = mean over H, W of dy / dA[h, w, c]
    heat[h, w] = max(0, sum over c of weight[c] * A[h, w, c])

Differs from the paper: the map may be that of any layer. By default it is not that of the last
convolution itself, which may be one branch of several, but what that ends in.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer.answers import Answer, answers_of, by_name
from trainer.config import ConfigError
from trainer.report.layer_calls import watching
from trainer.suggestions import nearest
from trainer.trained_model import TrainedModel

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class Maps(NamedTuple):
    """The layers that Grad-CAM can look at: those with a map, from the first convolution on.

    Attributes:
        sizes: name, with those of the layers around it, to (height, width), in the order in which
            their calls end.
        last: the last convolution.
    """

    sizes: dict[str, tuple[int, int]]
    last: str

    @property
    def default(self) -> str:
        """What the last convolution ends in: the last map of its size.

        That takes in the other branches, the normalization and the ReLU that may follow it.
        """
        same = [name for name, size in self.sizes.items() if size == self.sizes[self.last]]
        return same[-1]


def maps(trained: TrainedModel) -> Maps | None:
    """Return the layers with a map, or None where no convolution gives one.

    A map has more than one place.

    Args:
        trained: its model takes one image.
    """
    sizes: dict[str, tuple[int, int]] = {}
    convolutions: list[str] = []

    def note(name: str, layer: keras.layers.Layer, _: Any, outputs: Any) -> Any:
        if tf.is_tensor(outputs) and len(outputs.shape) == 4:
            height, width = outputs.shape[1:3]
            if height * width > 1 and isinstance(layer, CONVOLUTIONS):
                convolutions.append(name)
            if height * width > 1 and convolutions:
                sizes[name] = (height, width)
        return outputs

    with watching(trained.model, note):
        trained.model(tf.zeros([1, *trained.inputs["image"].shape]), training=False)
    return Maps(sizes, convolutions[-1]) if convolutions else None


def choose_map(trained: TrainedModel, wanted: str | None) -> str:
    """Return the name of the layer to look at.

    Args:
        trained: its model takes one image.
        wanted: its name, or the end of it where that tells; None: see `Maps.default`.

    Raises:
        ConfigError: if there is none, or several of that name.
    """
    found = maps(trained)
    if found is None:
        raise ConfigError(
            f"{trained.model.name}: has no convolution that returns a map, which is what Grad-CAM "
            "looks at; `explain RUN_DIR --embeddings SPLIT` does without"
        )
    if wanted is None:
        return found.default
    if wanted in found.sizes:
        return wanted
    ending = [name for name in found.sizes if name.endswith(f"/{wanted}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise ConfigError(f"--layer {wanted}: several end so: {', '.join(ending)}")
    near = nearest(wanted, found.sizes)
    raise ConfigError(f"--layer {wanted}: no layer of that name has a map; {near}")


def heat_maps(
    trained: TrainedModel, layer: str, images: tf.Tensor, output: str | None, columns: np.ndarray
) -> np.ndarray:
    """Return the heat of each place of a layer's map: float32 [B, H, W], at least 0.

    Args:
        trained: its model takes one image.
        layer: one of `maps`.
        images: float32 [B, H', W', C], as the model takes them.
        output: the name of the output to look at; None for a single one.
        columns: int [B], which class, label or value of it.

    Raises:
        ConfigError: if the layer does not lead to that output.
    """
    kept = []

    def keep(name: str, _: Any, __: Any, outputs: Any) -> Any:
        if name != layer:
            return outputs
        # The gradient goes through float32, and is averaged there, whatever the layers compute in.
        kept.append(tf.cast(outputs, tf.float32))
        tape.watch(kept[0])
        return tf.cast(kept[0], outputs.dtype)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        with watching(trained.model, keep):
            outputs = trained.model(images, training=False)
        answer = answers_of(trained, outputs)[output]
        scores = _scores(tf.cast(by_name(outputs)[output], tf.float32), answer, columns)
    gradient = tape.gradient(scores, kept[0])
    if gradient is None:
        raise ConfigError(f"--layer {layer}: nothing of it goes to the output {output}")
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)  # [B, 1, 1, C]
    return tf.nn.relu(tf.reduce_sum(weights * kept[0], axis=-1)).numpy()


def _scores(outputs: tf.Tensor, answer: Answer, columns: np.ndarray) -> tf.Tensor:
    """Return the score of each example's column: float32 [B]."""
    if answer.kind == "classes" and answer.num_outputs == 1:
        return outputs[:, 0] * np.where(columns == 1, 1.0, -1.0).astype(np.float32)
    return tf.gather(outputs, columns, axis=1, batch_dims=1)
