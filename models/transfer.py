"""Transfer: a published network without its top, and a new head on it."""

import difflib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import NetworkInput, StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")
class Transfer(ImageClassifier):
    """Any network of `keras.applications` as the base, its average over the image, and a head.

    Images come in [0, 1]; the base's own preprocessing is a layer of the model, `preparation`. A
    frozen base runs as in inference, with its batch normalization and dropout, whatever `training`
    says. `callbacks=unfreeze` trains it from a given step on.

    A saved model holds the base and its weights: to load it needs neither a network nor FILE.

    Args:
        num_classes: Number of classes.
        network: Name of the base in `keras.applications`, such as "ResNet50".
        weights: What the base starts with: "imagenet" (Keras downloads them once), None for random
            ones, or the path of a file of weights of this network without its top. (For
            EfficientNetB0 to B7 rather put Keras' file into ~/.keras/models: with "imagenet" alone
            Keras adds the rescaling that those weights need.)
        frozen: Leave the base as it is, and train the head alone.
        image_size: Height and width in pixels to which images are resized. The published weights
            are mostly for 224x224.
        head_units: Width of each dense layer (ReLU) between the base and the logits.
        dropout: Share of their outputs dropped in training, 0 <= dropout < 1.
        base: The base itself, where a saved model is loaded.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If there is no such network, or it cannot have such images or weights.
    """

    preprocesses_images = True

    def __init__(
        self,
        num_classes: int,
        network: str = "NASNetMobile",
        weights: str | None = "imagenet",
        frozen: bool = True,
        image_size: Sequence[int] = (224, 224),
        head_units: Sequence[int] = (500,),
        dropout: float = 0.0,
        base: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, **kwargs)
        application = _application(network)
        if len(image_size) != 2 or any(not isinstance(n, int) or n < 1 for n in image_size):
            raise ValueError(
                f"image_size must be [height, width] in pixels. Received: {list(image_size)!r}."
            )
        self.network = network
        self.initial_weights = weights  # Keras has `weights` for the variables
        self.image_size = list(image_size)
        self.head_units = list(head_units)
        self.dropout = dropout
        family = application.__module__.rpartition(".")[2]
        self.preparation = NetworkInput(family, image_size, name="preparation")
        self.base = base or _base(application, weights, image_size)
        self.base.trainable = not frozen
        # float32 whatever the policy: the average and the logits feed a softmax.
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
        self.hidden = [
            keras.layers.Dense(units, activation="relu", name=f"hidden_{k}")
            for k, units in enumerate(head_units, start=1)
        ]
        self.dropouts = [
            StatelessDropout(dropout, name=f"dropout_{k}")
            for k, _ in enumerate(head_units, start=1)
        ]
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, 1 or 3], in [0, 1].
            training: Drop features; in the base too, with the moments of the batch in its batch
                normalization, unless it is frozen.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.base(self.preparation(inputs), training=training and self.base.trainable)
        x = self.pool(x)
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(layer(x), training=training)
        return self.logits(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with `base` as a configuration."""
        return {
            **super().get_config(),
            "network": self.network,
            "weights": self.initial_weights,
            "frozen": not self.base.trainable,
            "image_size": self.image_size,
            "head_units": self.head_units,
            "dropout": self.dropout,
            "base": keras.saving.serialize_keras_object(self.base),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transfer":
        """Return a model of that configuration; the base's weights are random until loaded."""
        base = keras.saving.deserialize_keras_object(config["base"])
        return cls(**{**config, "base": base})


def _application(network: str) -> Callable[..., keras.Model]:
    names = [n for n, value in vars(keras.applications).items() if inspect.isfunction(value)]
    if network not in names:
        lower = {name.lower(): name for name in names}
        near = difflib.get_close_matches(str(network).lower(), lower, n=1, cutoff=0.0)
        raise ValueError(
            f"network={network!r} is none of keras.applications; nearest: {lower[near[0]]}"
        )
    return getattr(keras.applications, network)


def _base(
    application: Callable[..., keras.Model], weights: str | None, image_size: Sequence[int]
) -> keras.Model:
    """Return the network without its top, its variables under the path `base/`."""
    network = application.__name__
    is_file = weights not in (None, "imagenet")
    if is_file and not Path(str(weights)).is_file():
        raise ValueError(
            f"weights={weights}: no such file; choose imagenet, null, or the path of a file"
        )

    def build(weights: str | None) -> keras.Model:
        with keras.name_scope("base"):
            base = application(include_top=False, weights=weights, input_shape=(*image_size, 3))
        base.name = "base"  # only now: EfficientNetV2 looks up its blocks by the name it is given
        return base

    if weights is None:
        return build(None)
    try:
        return build(str(weights))
    except Exception as error:  # Keras raises this very class where a download fails
        build(None)  # whether it is the size of the images that does not do
        reason = " ".join(str(error).split())
        if is_file:
            raise ValueError(
                f"weights={weights}: no weights of {network} without its top ({reason})"
            ) from error
        raise ValueError(
            f"weights=imagenet: those of {network} cannot be had here ({reason}); begin with "
            "random ones, weights=null, or download that file elsewhere and give its path, "
            "weights=FILE"
        ) from error
