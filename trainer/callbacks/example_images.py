"""The first training images as the model sees them, augmentations included, in TensorBoard."""

import math
from typing import Any

import numpy as np

from trainer.callbacks.trainer_callback import TrainerCallback


class ExampleImages(TrainerCallback):
    """Writes the images of the run's first batch once, at its first step.

    One picture of them all, stretched to the full range, since standardised values have none of
    their own.

    Args:
        num_images: how many, at least 1.
    """

    def __init__(self, num_images: int = 16) -> None:
        super().__init__()
        if num_images < 1:
            raise ValueError(f"callbacks.example_images.num_images={num_images}: at least 1")
        self._num_images = num_images

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Write the pictures, unless the run is taken up again."""
        trainer = self.trainer
        if trainer.step > 0 or trainer.writer is None or not trainer.data.has_images:
            return
        images = trainer.data.example_batch()["image"].numpy()[: self._num_images]
        if images.shape[-1] in (1, 3):
            trainer.writer.images("training images", grid(stretched(images))[None])


def stretched(images: np.ndarray) -> np.ndarray:
    """Return images [N, H, W, C] of any range as uint8, the darkest value of all at 0."""
    low, high = images.min(), images.max()
    return np.round(255 * (images - low) / max(high - low, 1e-6)).astype(np.uint8)


def grid(images: np.ndarray) -> np.ndarray:
    """Return uint8 images [N, H, W, C] as one picture [H', W', C], a pixel apart, row by row."""
    num_columns = math.ceil(math.sqrt(len(images)))
    num_rows = math.ceil(len(images) / num_columns)
    missing = num_rows * num_columns - len(images)
    tiles = np.pad(images, [(0, missing), (0, 1), (0, 1), (0, 0)])
    height, width, channels = tiles.shape[1:]
    tiles = tiles.reshape(num_rows, num_columns, height, width, channels).swapaxes(1, 2)
    return tiles.reshape(num_rows * height, num_columns * width, channels)
