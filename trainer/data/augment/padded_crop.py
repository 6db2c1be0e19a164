"""Shift images by whole pixels: pad, then crop the old size at random."""

import tensorflow as tf

from trainer.data.augment.draws import ALGORITHM
from trainer.data.feeds import Batch
from trainer.suggestions import nearest

MODES = ("reflect", "zero")


class PaddedCrop:
    """Shifts each image by up to `padding` pixels: pads on all sides, crops the old size at random.

    Every one of the (2 * padding + 1)^2 places is equally likely. Padding and crop are one step of
    index arithmetic and two gathers, so no padded copy is made.
    """

    def __init__(self, padding: int, mode: str = "reflect") -> None:
        """Set how far, and over what, images are shifted.

        Args:
            padding: Pixels added on every side, at least 1. 4 is customary for CIFAR's 32x32.
            mode: What lies beyond the border: "reflect" mirrors at the edge pixel without
                repeating it (NumPy's and TensorFlow's "reflect"), the default because it leaves no
                artificial edge; "zero" is black, and right for objects on a black ground.

        Raises:
            ValueError: If the padding is not a whole number of at least 1 or the mode is unknown.
        """
        if isinstance(padding, bool) or not isinstance(padding, int) or padding < 1:
            raise ValueError(f"PaddedCrop: padding={padding} must be a whole number, at least 1.")
        if mode not in MODES:
            raise ValueError(f"PaddedCrop: mode={mode!r} is unknown; {nearest(str(mode), MODES)}.")
        self.padding = padding
        self.mode = mode

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with shifted images.

        Args:
            batch: `image` float32 [B, H, W, C]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` has its old shape.

        Raises:
            ValueError: With mode "reflect", if the padding is not smaller than H and W.
        """
        image = batch["image"]
        _, height, width, _ = image.shape
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise ValueError(
                f"PaddedCrop: padding={self.padding} with mode=reflect must be smaller than the "
                f"image, which is {height}x{width}; use at most {min(height, width) - 1}, or "
                "mode=zero."
            )
        offsets = tf.random.stateless_uniform(
            [tf.shape(image)[0], 2], key, 0, 2 * self.padding + 1, tf.int32, alg=ALGORITHM
        )
        rows, row_inside = self._source(offsets[:, 0], height)
        columns, column_inside = self._source(offsets[:, 1], width)
        image = tf.gather(image, rows, axis=1, batch_dims=1)
        image = tf.gather(image, columns, axis=2, batch_dims=1)  # [B, H, W, C]
        if self.mode == "zero":
            inside = row_inside[:, :, tf.newaxis] & column_inside[:, tf.newaxis]  # [B, H, W]
            image *= tf.cast(inside, image.dtype)[..., tf.newaxis]
        return {**batch, "image": image}

    def _source(self, offset: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Where in the unpadded image each cropped pixel comes from, along one axis.

        Args:
            offset: int32 [B], the crop's place in the padded image, in [0, 2 * padding].
            size: Length of the axis.

        Returns:
            index: int32 [B, size] in [0, size).
            inside: bool [B, size], False on padding.
        """
        position = tf.range(size) + offset[:, tf.newaxis] - self.padding
        inside = (position >= 0) & (position < size)
        if self.mode == "zero":
            return tf.clip_by_value(position, 0, size - 1), inside
        return size - 1 - tf.abs(size - 1 - tf.abs(position)), inside
