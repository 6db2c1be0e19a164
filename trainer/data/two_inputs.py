"""Two inputs and two targets from a seed: an image and features in, a class and a value out."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from trainer.data.dataset import Arrays, DataSet
from trainer.data.synthetic import synthetic

NOISE = 0.1
"""Standard deviation of what nothing tells of the value, whose own is about 1."""


def two_inputs(
    num_examples: int = 1024,
    image_shape: Sequence[int] = (16, 16, 3),
    num_features: int = 4,
    num_classes: int = 3,
    seed: int = 0,
) -> DataSet:
    """Return `synthetic` with a feature vector, and a value that needs both inputs.

    Keys: `image` uint8 [N, H, W, C]; `features` float32 [N, F], standard normal; `label/class`
    int32 [N], which the image tells; `label/value` float32 [N, 1], a weighted sum of the features
    plus an offset for each class, plus noise. The variances of sum and offset are 1/2 each, so
    without the image no model explains more than about half of the value, nor without the features.

    Args:
        num_examples: As in `synthetic`.
        image_shape: As in `synthetic`.
        num_features: F, at least 1.
        num_classes: As in `synthetic`.
        seed: Fixes everything.

    Raises:
        ValueError: If an argument is out of range.
    """
    if num_features < 1:
        raise ValueError(f"data.num_features={num_features}: must be at least 1.")
    images = synthetic(num_examples, image_shape, num_classes, seed)
    return DataSet("two_inputs", images.class_names, partial(_load, images, num_features, seed))


def _load(images: DataSet, num_features: int, seed: int) -> dict[str, Arrays]:
    rng = np.random.default_rng([seed, 1])  # apart from that of the images
    weights = rng.standard_normal(num_features)
    weights /= np.sqrt(2) * np.linalg.norm(weights)
    offsets = rng.permutation(np.linspace(-1, 1, len(images.class_names)))
    offsets /= np.sqrt(2) * offsets.std()

    splits: dict[str, Arrays] = {}
    for split, arrays in images.load().items():
        label = np.asarray(arrays["label"])
        features = rng.standard_normal((len(label), num_features))
        noise = NOISE * rng.standard_normal(len(label))
        value = features @ weights + offsets[label] + noise
        splits[split] = {
            "image": arrays["image"],
            "features": features.astype(np.float32),
            "label/class": label,
            "label/value": value.astype(np.float32)[:, np.newaxis],
        }
    return splits
