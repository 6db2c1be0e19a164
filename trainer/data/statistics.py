"""Per-channel mean and standard deviation of a split's images."""

import numpy as np

# One grey level: a channel that varies less than this is as good as constant, and dividing by less
# would only blow up its rounding noise.
MIN_STD = 1 / 255


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, of images scaled to [0, 1].

    Computed from a 256-bin histogram per channel: uint8 has only 256 values, so counts lose nothing
    and no float copy of the images is made. Unlike a running float32 sum, the result does not
    depend on the order of the images.

    Args:
        images: uint8 [N, H, W, C], N, H, W at least 1.

    Returns:
        mean: float32 [C].
        std: float32 [C], of the population (divided by N * H * W), at least `MIN_STD`.

    Raises:
        ValueError: If the images are not uint8 [N, H, W, C], or there are none.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
        raise ValueError(
            "channel_statistics: images must be uint8 [N, H, W, C] with N at least 1; received "
            f"{images.dtype} {list(images.shape)}."
        )
    counts = np.stack([_histogram(images[..., c]) for c in range(images.shape[-1])])  # [C, 256]
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = share @ values  # [C]
    variance = (share * (values - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return mean.astype(np.float32), np.maximum(np.sqrt(variance), MIN_STD).astype(np.float32)


def _histogram(channel: np.ndarray) -> np.ndarray:
    """Count each value of a uint8 array [N, H, W]: int64 [256]."""
    counts = np.zeros(256, np.int64)
    # bincount casts its input to int64: in chunks of about a million values that costs 8 MB.
    chunk = max(1, 2**20 // channel[0].size)
    for start in range(0, len(channel), chunk):
        counts += np.bincount(channel[start : start + chunk].ravel(), minlength=256)
    return counts
