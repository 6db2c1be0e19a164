"""Mean and standard deviation of a split's images, per channel or over all of them."""

import numpy as np

from trainer.data.dataset import ArrayOnDisk, UnreadableExamplesError
from trainer.data.known_facts import known

# One grey level: a channel that varies less than this is as good as constant, and dividing by less
# would only blow up its rounding noise.
MIN_STD = 1 / 255

BYTES_AT_ONCE = 2**26  # of images on disk

VALUES_AT_ONCE = 2**20  # bincount casts its input to int64: 8 MB


def channel_statistics(
    images: np.ndarray | ArrayOnDisk, over_channels: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, of images scaled to [0, 1].

    Computed from a 256-bin histogram per channel: uint8 has only 256 values, so counts lose nothing
    and no float copy of the images is made. Unlike a running float32 sum, the result does not
    depend on the order of the images.

    Args:
        images: uint8 [N, H, W, C], N, H, W at least 1.
        over_channels: take all channels together, and give each the same two numbers.

    Returns:
        mean: float32 [C].
        std: float32 [C], of the population (divided by its number of values), at least `MIN_STD`.

    Raises:
        ValueError: If the images are not uint8 [N, H, W, C], there are none, or one on disk cannot
            be read.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.nbytes == 0:
        raise ValueError(
            "channel_statistics: images must be uint8 [N, H, W, C] with N at least 1; received "
            f"{images.dtype} {list(images.shape)}."
        )
    counts = histograms(images)
    if over_channels:
        counts = np.broadcast_to(counts.sum(axis=0), counts.shape)
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = share @ values  # [C]
    variance = (share * (values - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return mean.astype(np.float32), np.maximum(np.sqrt(variance), MIN_STD).astype(np.float32)


def histograms(images: np.ndarray | ArrayOnDisk) -> np.ndarray:
    """Count the values of each channel: uint8 [N, H, W, C] to int64 [C, 256].

    Images on disk are all read once, and the counts kept for the next run (`known_facts.py`).

    Raises:
        UnreadableExamplesError: naming all images on disk that cannot be read.
    """
    if isinstance(images, np.ndarray):
        return np.stack([_histogram(images[..., c]) for c in range(images.shape[-1])])
    key = f"histograms_{images.identity().tobytes().hex()}"
    return np.asarray(known(key, lambda: _histograms_from_disk(images).tolist()), np.int64)


def _histograms_from_disk(images: ArrayOnDisk) -> np.ndarray:
    counts = np.zeros((images.shape[-1], 256), np.int64)
    num_at_once = max(1, BYTES_AT_ONCE * len(images) // images.nbytes)
    failures = []
    for start in range(0, len(images), num_at_once):
        try:
            counts += histograms(np.asarray(images[start : start + num_at_once]))
        except UnreadableExamplesError as error:
            failures += error.failures
    if failures:
        raise UnreadableExamplesError(failures, len(images))
    return counts


def _histogram(channel: np.ndarray) -> np.ndarray:
    """Count each value of a uint8 array [N, H, W]: int64 [256]."""
    counts = np.zeros(256, np.int64)
    num_at_once = max(1, VALUES_AT_ONCE // channel[0].size)
    for start in range(0, len(channel), num_at_once):
        counts += np.bincount(channel[start : start + num_at_once].ravel(), minlength=256)
    return counts
