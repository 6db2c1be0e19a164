"""Rectangles in images, for the augmentations that erase or replace one."""

import tensorflow as tf


def boxes(
    row: tf.Tensor, column: tf.Tensor, num_rows: tf.Tensor, num_columns: tf.Tensor, like: tf.Tensor
) -> tf.Tensor:
    """Return one box an image as a mask, cut off at the image's border.

    Args:
        row: float32 [B] in [0, 1), the box's centre as a share of the height; its pixel is the
            centre, or of an even number of rows the first of the second half.
        column: the same along the width.
        num_rows: int32 [B] or [], the box's height in pixels before it is cut off.
        num_columns: the same along the width.
        like: the images, [B, H, W, C].

    Returns:
        bool [B, H, W, 1], True inside.
    """
    _, height, width, _ = like.shape
    rows = _interval(row, num_rows, height)
    columns = _interval(column, num_columns, width)
    return (rows[:, :, tf.newaxis] & columns[:, tf.newaxis])[..., tf.newaxis]


def _interval(centre: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """Return bool [B, size], True for `length` pixels around the centre."""
    start = tf.cast(centre * size, tf.int32) - length // 2
    offset = tf.range(size) - start[:, tf.newaxis]
    return (offset >= 0) & (offset < tf.reshape(length, [-1, 1]))
