"""Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747): 60,000 + 10,000 clothes, 28x28 grey."""

from functools import partial
from pathlib import Path

from trainer.data.dataset import DataSet
from trainer.data.idx_files import FILES, idx_data_set
from trainer.data.published import download, folders_instead

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist(root: str | None = None) -> DataSet:
    """Return Fashion-MNIST, with its splits "train" and "test"; images uint8 [N, 28, 28, 1].

    Args:
        root: None: downloaded by Keras on first use, and kept in its cache (`~/.keras/datasets`).
            Else a folder with the four official IDX files, gzipped or not (also in raw/ or
            FashionMNIST/raw/, where torchvision puts them), or with class folders (`class_folder`),
            whatever their classes and sizes. MNIST's files have the same names.

    Raises:
        ValueError: If `root` holds none of these, or a file is missing or damaged. `load()` raises
            ConnectionError (an OSError) if the download fails.
    """
    files = f"the files {FILES}"
    if root is None:
        load = partial(download, "Fashion-MNIST", "fashion_mnist", files)
        return DataSet(name="fashion_mnist", class_names=CLASS_NAMES, load=load)
    folder = Path(root).expanduser()
    folders = (folder, folder / "raw", folder / "FashionMNIST" / "raw")
    found = idx_data_set("fashion_mnist", CLASS_NAMES, folders)
    return found or folders_instead("Fashion-MNIST", "fashion_mnist", files, root)
