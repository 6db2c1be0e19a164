"""A small CNN as a functional `keras.Model`: a graph of layers from an input to an output."""

import keras

from models.layers import FusedBatchNormalization, StatelessDropout


def small_cnn_functional(num_classes: int, channels: int = 1, dropout: float = 0.3) -> keras.Model:
    """Return the network of `small_cnn_sequential`, for images [B, H, W, channels].

    The style for networks with branches. A graph begins with its input, so that the number of
    channels must be known beforehand; height and width need not be.

    Args:
        num_classes: Number of classes, at least 1.
        channels: Of the images: 1 for grey, 3 for colour.
        dropout: Share of the last features dropped in training, 0 <= dropout < 1.
    """
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="conv_1")(image)
    x = keras.layers.MaxPooling2D(3, name="pool_1")(x)
    x = FusedBatchNormalization(name="batch_norm_1")(x)
    x = keras.layers.Conv2D(64, 3, activation="relu", name="conv_2")(x)
    x = FusedBatchNormalization(name="batch_norm_2")(x)
    x = StatelessDropout(dropout, name="dropout")(x)
    x = keras.layers.GlobalMaxPooling2D(name="pool_2")(x)
    # float32 whatever the policy: the logits feed a softmax.
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="small_cnn_functional")
