"""Splits of image files brought to one size and number of channels, left on disk."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.decoding import ImageHeader, read_header
from trainer.data.image_files import ImageFiles, file_stats
from trainer.data.known_facts import known

logger = logging.getLogger("trainer")

# Stands for the headers where none can be read; decoding then tells what is wrong.
UNREADABLE = ImageHeader(height=1, width=1, grey=True, is_jpeg=False)


def check_image_arguments(image_size: Sequence[int] | None, channels: int | None) -> None:
    """Check `image_size` and `channels` of a data set of image files; see `class_folder`.

    Raises:
        ValueError: If one is out of range.
    """
    if image_size is not None and (
        isinstance(image_size, int | str)
        or len(image_size) != 2
        or not all(isinstance(side, int) and side >= 1 for side in image_size)
    ):
        raise ValueError(
            f"data.image_size={image_size}: must be [height, width] in whole pixels, such as "
            "[64,64], or null for the commonest size."
        )
    if channels not in (None, 1, 3):
        raise ValueError(
            f"data.channels={channels}: must be 1 (grey), 3 (colour), or null to go by the images."
        )


def image_splits(
    root: Path,
    paths: Mapping[str, Sequence[str]],
    image_size: Sequence[int] | None,
    channels: int | None,
) -> dict[str, ImageFiles]:
    """Return each split's image files as an array on disk.

    Their headers are read to find out the commonest size and whether all are grey, once for as long
    as the files stay the same (`known_facts.py`).

    Args:
        root: the folder that `paths` are relative to.
        paths: split name -> image files.
        image_size: [height, width]; None: the commonest size in the train split (ties: the smaller
            area, then the smaller height).
        channels: 1 or 3; None: 1 where every image of every split is grey, else 3.
    """
    size = None if image_size is None else (image_size[0], image_size[1])
    images = {
        # Size and channels come below: where not given they depend on the files of all splits.
        split: ImageFiles(
            root,
            np.asarray(of_split, object),
            file_stats(root, of_split),
            size or (0, 0),
            channels or 0,
        )
        for split, of_split in paths.items()
    }
    identities = b"".join(
        split.encode() + images[split].identity().tobytes() for split in sorted(images)
    )
    facts = known(
        f"headers_{hashlib.sha256(identities).hexdigest()}",
        lambda: _read_headers(images, size, channels),
    )
    if facts["num_resized"]:
        num_images = sum(len(of_split) for of_split in images.values())
        logger.info(
            "%s: resized %s of %s images to %s ([height, width])",
            root, f"{facts['num_resized']:,}", f"{num_images:,}", facts["image_size"],
        )  # fmt: skip
    height, width = facts["image_size"]
    known_facts = {
        "image_size": (height, width),
        "channels": facts["channels"],
        "uniform": facts["all_jpeg"] and facts["num_resized"] == 0,
    }
    return {split: replace(of_split, **known_facts) for split, of_split in images.items()}


def _read_headers(
    images: dict[str, ImageFiles], image_size: tuple[int, int] | None, channels: int | None
) -> dict[str, Any]:
    """Find out the size and channels that all images are brought to."""
    headers = {
        split: [header for path in of_split.paths if (header := read_header(of_split.root / path))]
        for split, of_split in images.items()
    }
    every_header = list(chain.from_iterable(headers.values())) or [UNREADABLE]
    size = image_size or _commonest_size(headers["train"] or every_header)
    return {
        "image_size": list(size),
        "channels": channels or (1 if all(header.grey for header in every_header) else 3),
        "all_jpeg": all(header.is_jpeg for header in every_header),
        "num_resized": sum((header.height, header.width) != size for header in every_header),
    }


def _commonest_size(headers: list[ImageHeader]) -> tuple[int, int]:
    counts = Counter((header.height, header.width) for header in headers)
    return min(counts, key=lambda size: (-counts[size], size[0] * size[1], size))
