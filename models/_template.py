"""MyModel: what it is, in one line.

Copy this file to `models/my_model.py`, rename the class, and write `conf/model/my_model.yaml`:

    # One line for `python -m trainer --help`.
    _target_: models.my_model.MyModel
    width: 32
    num_classes: null         # null: as many as the data has

Then `python -m trainer model=my_model` trains it, and the tests hold it to the models' contract.
"""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import ConvModule, StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")  # so that .keras files load
class MyModel(ImageClassifier):
    """What it does, the paper it is from, and what differs from it.

    Args:
        num_classes: Number of classes.
        width: Channels of the first convolution, at least 1.
        dropout: Share of the features dropped in training, 0 <= dropout < 1.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `width` is not a whole number of at least 1.
    """

    def __init__(
        self, num_classes: int, width: int = 32, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a whole number of at least 1. Received: {width!r}.")
        self.width = width
        # Every layer has a name: it is that of its variables, in checkpoints and histograms.
        self.blocks = [
            ConvModule(width, 3, name="conv_1"),
            ConvModule(2 * width, 3, strides=2, name="conv_2"),
        ]
        # In place of keras.layers.Dropout: its masks are those of the seed and the step.
        self.dropout = StatelessDropout(dropout, name="dropout")
        # float32 whatever the policy: the logits feed a softmax, which the loss applies.
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C].
            training: Normalize with the moments of the batch, and drop features.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = inputs
        for block in self.blocks:
            x = block(x, training=training)
        x = self.dropout(self.pool(x), training=training)
        return self.logits(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, all of them."""
        return {**super().get_config(), "width": self.width, "dropout": self.dropout.rate}
