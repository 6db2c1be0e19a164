"""Images in class folders, the layout most image data sets are handed around in.

    DIR/train/<class>/*    with DIR/val (or valid, validation) or DIR/test beside it, or
    DIR/<class>/*          alone: everything is the train split.

The files are listed when the data set is built, so that a wrong layout is told at once. `load()`
reads their headers, and leaves the pixels on disk (`image_files.py`).
"""

import os
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from trainer.data.dataset import Arrays, DataSet
from trainer.data.decoding import SUFFIXES
from trainer.data.image_splits import check_image_arguments, image_splits

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}

LAYOUTS = (
    "DIR/train/<class>/* (DIR/val and DIR/test beside it where there are any) or DIR/<class>/*"
)

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
    check_image_arguments(image_size, channels)
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
    return DataSet(
        name=folder.resolve().name,
        class_names=tuple(class_names),
        load=partial(_load, folder, files, image_size, channels),
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
    image_size: Sequence[int] | None,
    channels: int | None,
) -> dict[str, Arrays]:
    paths = {split: list(chain.from_iterable(of_split)) for split, of_split in files.items()}
    images = image_splits(root, paths, image_size, channels)
    labels = {
        split: np.repeat(
            np.arange(len(of_split), dtype=np.int32), [len(of_class) for of_class in of_split]
        )
        for split, of_split in files.items()
    }
    return {split: {"image": images[split], "label": labels[split]} for split in files}
