"""Batches and a key for the tests of augmentations."""

import numpy as np
import tensorflow as tf

KEY = tf.constant([3, 2**40], tf.int64)
NUM_CLASSES = 5


def images(size=16, height=8, width=6, channels=3):
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(size, height, width, channels)).astype(np.float32)
    return {
        "image": tf.constant(image),
        "label": tf.range(size) % NUM_CLASSES,
        "weight": tf.ones(size),
    }
