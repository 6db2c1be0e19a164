"""Images in class folders, the layout most image data sets are handed around in.

    DIR/train/<class>/*    with DIR/val (or valid, validation) or DIR/test beside it, or
    DIR/<class>/*          alone: everything is the train split.

The files are listed when the data set is built, so that a wrong layout is told at once, and decoded
(`image_files.py`) when it is loaded.
"""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from trainer.data.dataset import Arrays, DataSet
from trainer.data.image_files import (
    SUFFIXES,
    ImageHeader,
    decode_images,
    num_threads_for,
    read_header,
)

logger = logging.getLogger("trainer")

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}

LAYOUTS = (
    "DIR/train/<class>/* (DIR/val and DIR/test beside it where there are any) or DIR/<class>/*"
)

NUM_NAMED = 5  # how many broken files an error names

NUM_SAMPLED = 64

# Stands for the sample where none of it can be read; decoding then tells what is wrong.
UNREADABLE = ImageHeader(height=1, width=1, grey=True)

ClassFiles = list[list[Path]]  # for each class, its image files in order


def class_folder(
    root: str, image_size: Sequence[int] | None = None, channels: int | None = None
) -> DataSet:
    """Return the data set kept in `root`.

    The classes are the folders of the train split, sorted by name; within a class the files are
    sorted by name. Files that are not PNG, JPEG, BMP, GIF or WebP by their extension, and whatever
    starts with a dot, are ignored. How pixels are converted: see `image_files.decode_images`.

    Args:
        root: The folder; `~` is expanded.
        image_size: [height, width] in pixels. Default: the commonest size in the train split (ties:
            the smaller area, then the smaller height). Other images are resized.
        channels: 1 or 3. Default: 1 where every image of every split is grey, else 3.

    Raises:
        ValueError: If an argument is out of range, `root` is no folder, has no class folders, only
            one, an empty one, or splits whose classes differ. `load()` raises it for images that
            cannot be read and for a data set too large for this machine's memory.
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
    files = {split: _list_split(path, class_names, split) for split, path in split_folders.items()}
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


def _list_split(folder: Path, class_names: list[str], split: str) -> ClassFiles:
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
        paths = [
            path
            for path in (folder / name).iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
        if not paths:
            raise ValueError(
                f"{folder / name}: no images in this class folder; add some "
                f"({', '.join(SUFFIXES)}) or remove the folder."
            )
        files.append(sorted(paths, key=lambda path: path.name))
    return files


def _load(
    root: Path,
    files: dict[str, ClassFiles],
    image_size: tuple[int, int] | None,
    channels: int | None,
) -> dict[str, Arrays]:
    # Opening 60,000 files only for their headers takes a quarter of the whole time. So a sample
    # stands for all, and only a folder that turns out to differ from it is decoded a second time.
    train = list(chain.from_iterable(files["train"]))
    step = max(1, len(train) // NUM_SAMPLED)
    sample = [header for header in map(read_header, train[::step]) if header] or [UNREADABLE]
    size = _commonest_size(sample)
    num_threads = num_threads_for(*size)
    guess = (image_size or size, channels or _channels(sample))
    splits, headers = _decode(root, files, *guess, num_threads)

    every_header = list(chain.from_iterable(headers.values()))
    facts = (
        image_size or _commonest_size(headers["train"]),
        channels or _channels(every_header),
    )
    if facts != guess:
        splits, headers = _decode(root, files, *facts, num_threads)

    num_resized = sum((header.height, header.width) != facts[0] for header in every_header)
    if num_resized:
        height, width = facts[0]
        logger.info(
            "%s: resized %s of %s images to [%d, %d] ([height, width])",
            root,
            f"{num_resized:,}",
            f"{len(every_header):,}",
            height,
            width,
        )
    return splits


def _decode(
    root: Path,
    files: dict[str, ClassFiles],
    image_size: tuple[int, int],
    channels: int,
    num_threads: int,
) -> tuple[dict[str, Arrays], dict[str, list[ImageHeader]]]:
    """Decode all splits; raise for the images that cannot be read, counted over all splits."""
    num_images = sum(len(class_files) for split in files for class_files in files[split])
    _check_memory(root, (num_images, *image_size, channels))
    splits: dict[str, Arrays] = {}
    headers, failures = {}, []
    for split, class_files in files.items():
        paths = list(chain.from_iterable(class_files))
        images, headers[split], failed = decode_images(paths, image_size, channels, num_threads)
        failures += failed
        counts = [len(paths_of_class) for paths_of_class in class_files]
        label = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        splits[split] = {"image": images, "label": label}
    if failures:
        more = ", ..." if len(failures) > NUM_NAMED else ""
        raise ValueError(
            f"data.root={root}: {len(failures):,} of {num_images:,} images cannot be read: "
            f"{', '.join(failures[:NUM_NAMED])}{more}; remove or replace them."
        )
    return splits, headers


def _commonest_size(headers: list[ImageHeader]) -> tuple[int, int]:
    counts = Counter((header.height, header.width) for header in headers)
    return min(counts, key=lambda size: (-counts[size], size[0] * size[1], size))


def _channels(headers: list[ImageHeader]) -> int:
    return 1 if all(header.grey for header in headers) else 3


def _check_memory(root: Path, shape: tuple[int, ...]) -> None:
    if not hasattr(os, "sysconf"):  # Windows
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = int(np.prod(shape, dtype=np.int64))
    if needed > memory / 2:
        raise ValueError(
            f"data.root={root}: {shape[0]:,} images of {shape[1]}x{shape[2]}x{shape[3]} need "
            f"{needed / 2**30:.1f} GiB, more than half of this machine's "
            f"{memory / 2**30:.1f} GiB; make them smaller with data.image_size=[HEIGHT,WIDTH], "
            "use data.channels=1, or a folder with fewer images (data.limit is applied after "
            "decoding and does not help)."
        )
