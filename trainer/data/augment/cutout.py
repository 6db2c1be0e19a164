"""Erase a square of each image."""

import tensorflow as tf

from trainer.data.augment.boxes import boxes
from trainer.data.augment.draws import check_share, uniform
from trainer.data.feeds import Batch


class Cutout:
    """Erases a square at a random place of each image (DeVries & Taylor 2017, arXiv 1708.04552).

    As in the paper, every pixel is equally likely to be the centre and the square is cut off at the
    border, so less is erased there. Differs from the paper: `fill` is one value for all channels,
    where the paper erases after standardising, which is to say with the mean colour.
    """

    def __init__(self, size_fraction: float = 0.5, fill: float = 0.5) -> None:
        """Set how much is erased.

        Args:
            size_fraction: The side of the square as a share of the image's shorter side, rounded to
                whole pixels, in (0, 1]. The default of 0.5 is the paper's 16 pixels for CIFAR-10;
                it took 0.25 for CIFAR-100.
            fill: What erased pixels become, in [0, 1]: by default grey, near the mean of photos.

        Raises:
            ValueError: If either is out of range.
        """
        check_share("Cutout", size_fraction=size_fraction, fill=fill)
        if size_fraction == 0:
            raise ValueError("Cutout: size_fraction=0 erases nothing; it must be above 0.")
        self.size_fraction = size_fraction
        self.fill = float(fill)

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with a square of each image erased.

        Args:
            batch: `image` float32 [B, H, W, C]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` has its old shape.
        """
        image = batch["image"]
        size = tf.constant(max(1, round(self.size_fraction * min(image.shape[1:3]))))
        row, column = uniform(batch, key, 2)
        erased = boxes(row, column, size, size, like=image)
        return {**batch, "image": tf.where(erased, self.fill, image)}
