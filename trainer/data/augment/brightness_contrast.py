"""Change the brightness and the contrast of images."""

import tensorflow as tf

from trainer.data.augment.draws import between, check_share, uniform
from trainer.data.feeds import Batch


class RandomBrightnessContrast:
    """Stretches each image about its mean colour, then adds a constant; both drawn per image.

    `clip(mean + c * (image - mean) + b, 0, 1)`, where the mean is over the pixels of each channel,
    as in `tf.image.adjust_contrast`. Values are clipped once, at the end.
    """

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2) -> None:
        """Set how far colours change.

        Args:
            brightness: The constant is uniform in [-brightness, brightness], with white at 1; in
                [0, 1]. The default changes a picture visibly and clips little of it.
            contrast: The factor is uniform in [1 - contrast, 1 + contrast]; in [0, 1].

        Raises:
            ValueError: If either is out of range.
        """
        check_share("RandomBrightnessContrast", brightness=brightness, contrast=contrast)
        self.brightness = brightness
        self.contrast = contrast

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with changed colours.

        Args:
            batch: `image` float32 [B, H, W, C]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` has its old shape.
        """
        image = batch["image"]
        brightness, contrast = (draw[:, None, None, None] for draw in uniform(batch, key, 2))
        factor = between(1 - self.contrast, 1 + self.contrast, contrast)
        mean = tf.reduce_mean(image, axis=(1, 2), keepdims=True)  # [B, 1, 1, C]
        # One multiplication and one addition of whole images: factor * image + constant.
        constant = (1 - factor) * mean + between(-self.brightness, self.brightness, brightness)
        return {**batch, "image": tf.clip_by_value(factor * image + constant, 0.0, 1.0)}
