"""Images as one picture."""

import math

import numpy as np


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
