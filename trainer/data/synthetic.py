"""Random images with a class signal, made from a seed: for tests and smoke runs."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from trainer.data.dataset import Arrays, DataSet


def synthetic(
    num_examples: int, image_shape: Sequence[int], num_classes: int, seed: int = 0
) -> DataSet:
    """Return a made-up data set that a small network learns in a few steps.

    Each class has a fixed pattern of 4x4 flat patches; an image is the pattern of its class plus
    Gaussian noise per pixel. Patches, not pixels, carry the signal, so that it survives small
    shifts. Classes are as equal in size as they can be.

    Args:
        num_examples: Size of the train split, at least `num_classes`. The test split has a quarter
            of it, and at least one example of each class.
        image_shape: [height, width, channels], each at least 1.
        num_classes: Number of classes, at least 2.
        seed: Fixes patterns, noise and order.

    Raises:
        ValueError: If an argument is out of range.
    """
    if num_classes < 2:
        raise ValueError(f"data.num_classes={num_classes}: must be at least 2.")
    if num_examples < num_classes:
        raise ValueError(
            f"data.num_examples={num_examples}: must be at least data.num_classes={num_classes}, "
            "so that every class has an example."
        )
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(
            f"data.image_shape={list(image_shape)}: must be [height, width, channels], each at "
            "least 1."
        )
    return DataSet(
        name="synthetic",
        class_names=tuple(f"class_{k}" for k in range(num_classes)),
        load=partial(_load, num_examples, tuple(image_shape), num_classes, seed),
    )


def _load(
    num_examples: int, image_shape: tuple[int, ...], num_classes: int, seed: int
) -> dict[str, Arrays]:
    height, width, channels = image_shape
    rng = np.random.default_rng(seed)
    patches = rng.uniform(48, 208, size=(num_classes, 4, 4, channels))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    patterns = patches[:, rows][:, :, columns].astype(np.float32)  # [K, H, W, C]

    splits = {}
    for split, size in (("train", num_examples), ("test", max(num_classes, num_examples // 4))):
        label = rng.permutation(np.arange(size, dtype=np.int32) % num_classes)
        noise = 32 * rng.standard_normal((size, *image_shape), dtype=np.float32)
        image = np.clip(patterns[label] + noise, 0, 255).astype(np.uint8)
        splits[split] = {"image": image, "label": label}
    return splits
