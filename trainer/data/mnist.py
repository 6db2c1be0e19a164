"""MNIST (Y. LeCun, C. Cortes and C. Burges): 60,000 + 10,000 handwritten digits, 28x28 grey."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from trainer.data.dataset import DataSet
from trainer.data.idx_files import FILES, idx_data_set
from trainer.data.npz import npz
from trainer.data.published import download, folders_instead

CLASS_NAMES = tuple("0123456789")

NPZ_FILE = "mnist.npz"


def mnist(root: str | None = None) -> DataSet:
    """Return MNIST, with its splits "train" and "test"; images uint8 [N, 28, 28, 1].

    Args:
        root: None: downloaded by Keras on first use, and kept in its cache (`~/.keras/datasets`).
            Else a folder with Keras' mnist.npz, or with the four official IDX files, gzipped or not
            (also in raw/ or MNIST/raw/, where torchvision puts them), or with class folders
            (`class_folder`), whatever their classes and sizes.

    Raises:
        ValueError: If `root` holds none of these, or a file is missing or damaged. `load()` raises
            ConnectionError (an OSError) if the download fails.
    """
    files = f"{NPZ_FILE}, the files {FILES}"
    if root is None:
        load = partial(download, "MNIST", "mnist", files)
        return DataSet(name="mnist", class_names=CLASS_NAMES, load=load)
    folder = Path(root).expanduser()
    if (folder / NPZ_FILE).is_file():
        return replace(npz(str(folder / NPZ_FILE), CLASS_NAMES), name="mnist")
    folders = (folder, folder / "raw", folder / "MNIST" / "raw")
    found = idx_data_set("mnist", CLASS_NAMES, folders)
    return found or folders_instead("MNIST", "mnist", files, root)
