"""Images in class folders, the layout most image data sets are handed around in.

    DIR/train/<class>/*    with DIR/val (or valid, validation) or DIR/test beside it, or
    DIR/<class>/*          alone: everything is the train split.

The files are listed when the data set is built, so that a wrong layout is told at once. `load()`
reads their headers, and leaves the pixels on disk (`image_files.py`).
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.dataset import Arrays, DataSet
from trainer.data.decoding import SUFFIXES, ImageHeader, read_header
from trainer.data.image_files import ImageFiles, file_stats
from trainer.data.known_facts import known

logger = logging.getLogger("trainer")

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}

LAYOUTS = (
    "DIR/train/<class>/* (DIR/val and DIR/test beside it where there are any) or DIR/<class>/*"
)

# Stands for the headers where none can be read; decoding then tells what is wrong.
UNREADABLE = ImageHeader(height=1, width=1, grey=True, is_jpeg=False)

ClassFiles = list[list[str]]  # for each class, its image files in order, relative to the root


def class_folder(
    root: str, image_size: Sequence[int] | None = None, channels: int | None = None
) -> DataSet:
    """Return the data set kept in `root`.

    The classes are the folders of the train split, sorted by name; within a class the files are
    sorted by name. Files that are not PNG, JPEG, BMP, GIF or WebP by their extension, and whatever
    starts with a dot, are ignored. How pixels are converted: see `decoding.decode`.

    Args:
        root: The folder; `~` is expanded.
        image_size: [height, width] in pixels. Default: the commonest size in the train split (ties:
            the smaller area, then the smaller height). Other images are resized.
        channels: 1 or 3. Default: 1 where every image of every split is grey, else 3.

    Raises:
        ValueError: If an argument is out of range, `root` is no folder, has no class folders, only
            one, an empty one, or splits whose classes differ. Reading the arrays raises
            UnreadableExamplesError for images that cannot be read.
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
    folder = Path(root).expanduser()
    split_folders = _split_folders(folder)
    class_names = _subfolders(split_folders["train"])
    if len(class_names) < 2:
        found = sorted(path.name for path in split_folders["train"].iterdir())[:5]
        raise ValueError(
            f"data.root={folder}: at least two class folders are needed, but "
            f"{split_folders['train']} has {len(class_names)} (found there: "
            f"{', '.join(found) or 'nothing'}); expected {LAYOUTS}."
        )
    files = {
        split: _list_split(folder, path, class_names, split)
        for split, path in split_folders.items()
    }
    size = None if image_size is None else (image_size[0], image_size[1])
    return DataSet(
        name=folder.resolve().name,
        class_names=tuple(class_names),
        load=partial(_load, folder, files, size, channels),
    )


def _split_folders(root: Path) -> dict[str, Path]:
    """Split name -> the folder that holds its class folders."""
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise ValueError(f"data.root={root}: {what}; expected {LAYOUTS}.")
    found = {
        split: [root / name for name in names if (root / name).is_dir()]
        for split, names in SPLIT_FOLDERS.items()
    }
    for split, paths in found.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise ValueError(
                f"data.root={root}: both {names} would be the {split} split; keep one of them."
            )
    folders = {split: paths[0] for split, paths in found.items() if paths}
    if not folders:
        return {"train": root}
    if "train" not in folders:
        names = " and ".join(path.name for path in folders.values())
        raise ValueError(f"data.root={root}: has {names} but no train folder; expected {LAYOUTS}.")
    return folders


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _list_split(root: Path, folder: Path, class_names: list[str], split: str) -> ClassFiles:
    names = _subfolders(folder)
    missing, extra = set(class_names) - set(names), set(names) - set(class_names)
    if missing or extra:
        lacks = f" lacks {', '.join(sorted(missing))}" if missing else ""
        adds = f" has {', '.join(sorted(extra))}, which train lacks" if extra else ""
        raise ValueError(
            f"{folder}: the {split} split must have the class folders of train, but"
            f"{' and'.join(part for part in (lacks, adds) if part)}; add or remove folders."
        )
    files = []
    for name in class_names:
        with os.scandir(folder / name) as entries:
            paths = sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".")
            )
        if not paths:
            raise ValueError(
                f"{folder / name}: no images in this class folder; add some "
                f"({', '.join(SUFFIXES)}) or remove the folder."
            )
        class_folder_name = (folder / name).relative_to(root).as_posix()
        files.append([f"{class_folder_name}/{path}" for path in paths])
    return files


def _load(
    root: Path,
    files: dict[str, ClassFiles],
    image_size: tuple[int, int] | None,
    channels: int | None,
) -> dict[str, Arrays]:
    labels, images = {}, {}
    for split, class_files in files.items():
        counts = [len(paths_of_class) for paths_of_class in class_files]
        labels[split] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        paths = list(chain.from_iterable(class_files))
        stats = file_stats(root, paths)
        # Size and channels come below: where not given they depend on the files of all splits.
        images[split] = ImageFiles(
            root, np.asarray(paths, object), stats, image_size or (0, 0), channels or 0
        )
    identities = b"".join(images[split].identity().tobytes() for split in sorted(images))
    facts = known(
        f"headers_{hashlib.sha256(identities).hexdigest()}",
        lambda: _read_headers(images, image_size, channels),
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
    return {
        split: {"image": replace(of_split, **known_facts), "label": labels[split]}
        for split, of_split in images.items()
    }


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
