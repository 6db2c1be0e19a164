"""A small CNN as a `keras.Sequential`: a list of layers, each fed by the one before it."""

import keras

from models.layers import FusedBatchNormalization, StatelessDropout


def small_cnn_sequential(num_classes: int, dropout: float = 0.3) -> keras.Sequential:
    """Return a convolutional network of two layers, for images [B, H, W, C] of at least 19x19.

    Shapes are those of MNIST. The same network is written as a graph of layers in
    `small_cnn_functional` and as a class in `small_cnn_subclassed`.

    Args:
        num_classes: Number of classes, at least 1.
        dropout: Share of the last features dropped in training, 0 <= dropout < 1.
    """
    return keras.Sequential(
        [
            keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="conv_1"),  # 13x13
            keras.layers.MaxPooling2D(3, name="pool_1"),  # [B, 4, 4, 32]
            FusedBatchNormalization(name="batch_norm_1"),
            keras.layers.Conv2D(64, 3, activation="relu", name="conv_2"),  # [B, 2, 2, 64]
            FusedBatchNormalization(name="batch_norm_2"),
            StatelessDropout(dropout, name="dropout"),
            keras.layers.GlobalMaxPooling2D(name="pool_2"),  # [B, 64]
            # float32 whatever the policy: the logits feed a softmax.
            keras.layers.Dense(num_classes, name="logits", dtype="float32"),
        ],
        name="small_cnn_sequential",
    )
