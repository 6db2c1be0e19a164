"""Representation learning: an encoder with a projection head, or with a linear classifier."""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import FusedBatchNormalization


@keras.saving.register_keras_serializable(package="tapeloop")
class ContrastiveModel(keras.Model):
    """An encoder and a projection head, as in SimCLR (Chen et al. 2020, arXiv 2002.05709).

    The head, `dense → ReLU → dense`, is trained along and left out afterwards: what comes before
    it is the better representation (the paper's section 4.2).

    Args:
        encoder: any model whose last layer, `logits`, takes the representation [B, E]; not built
            or built. The layer is taken out.
        hidden_units: of the head, at least 1; the paper has as many as the representation.
        projection_units: of the head's output, at least 1; the paper's 128, and it finds that the
            number hardly matters.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If the encoder has no layer `logits`, or a number is out of range.
    """

    preprocesses_images = True

    def __init__(
        self,
        encoder: keras.Model,
        hidden_units: int = 128,
        projection_units: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"hidden_units": hidden_units, "projection_units": projection_units}
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1. Received: {value}.")
        self.encoder = without_logits(encoder)
        self.hidden = keras.layers.Dense(hidden_units, activation="relu", name="hidden")
        # float32 whatever the policy: the projections are compared.
        self.projection = keras.layers.Dense(projection_units, name="projection", dtype="float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables of all layers for images of `input_shape` [B, H, W, C]."""
        self.call(keras.KerasTensor((None, *input_shape[1:])))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to projections.

        Args:
            inputs: float32 [B, H, W, C] in [0, 1].
            training: As for the encoder.

        Returns:
            projections: float32 [B, projection_units], of any length.
        """
        return self.projection(self.hidden(self.encoder(inputs, training=training)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "hidden_units": self.hidden.units,
            "projection_units": self.projection.units,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ContrastiveModel":
        """Return a model with these arguments."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**{**config, "encoder": encoder})


@keras.saving.register_keras_serializable(package="tapeloop")
class LinearProbe(ImageClassifier):
    """A linear classifier on the representation of an encoder that is left as it is.

    Each feature is standardised first, by batch normalization without scale and offset (as in He et
    al. 2021, arXiv 2111.06377, appendix A.1), so that features of any size are learnt from equally
    well; the classifier stays a linear one.

    Args:
        num_classes: Number of classes, at least 2.
        encoder: as for `ContrastiveModel`, which it is taken from, or untrained for comparison.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `num_classes` is out of range, or the encoder has no layer `logits`.
    """

    preprocesses_images = True

    def __init__(self, num_classes: int, encoder: keras.Model, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.encoder = without_logits(encoder)
        self.encoder.trainable = False
        # float32 whatever the policy: the logits feed a softmax.
        self.standardise = FusedBatchNormalization(
            momentum=0.9, epsilon=1e-6, center=False, scale=False, name="standardise",
            dtype="float32",
        )  # fmt: skip
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C] in [0, 1].
            training: Standardise with the moments of the batch, and update the moving ones. The
                encoder is always called as in inference.

        Returns:
            logits: float32 [B, num_classes].
        """
        representation = self.encoder(inputs, training=False)
        return self.logits(self.standardise(representation, training=training))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LinearProbe":
        """Return a model with these arguments."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**{**config, "encoder": encoder})


def without_logits(classifier: keras.Model) -> keras.Model:
    """Return a classifier whose output is what its layer `logits` took; it is changed itself.

    Raises:
        ValueError: If it never had such a layer.
    """
    logits = getattr(classifier, "logits", None)
    if logits is _unchanged:
        return classifier
    if not isinstance(logits, keras.layers.Layer):
        raise ValueError(
            f"{type(classifier).__name__} has no layer named `logits` to take out; give a model "
            "that has one, such as MiniInception"
        )
    # Keras has no public way to forget a layer, and would go on to list it in the summary.
    classifier._tracker.untrack(logits)
    classifier.logits = _unchanged
    return classifier


def _unchanged(representation: tf.Tensor) -> tf.Tensor:
    return representation
