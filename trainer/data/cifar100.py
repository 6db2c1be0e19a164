"""CIFAR-100 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

50,000 training and 10,000 test images of 32x32, each with one of 100 fine labels and the one of 20
coarse labels that this belongs to; from the network, from the official Python archive, or from
class folders.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from trainer.data.cifar_files import check_complete, find_folder, read_examples, read_names
from trainer.data.dataset import Arrays, DataSet
from trainer.data.published import download, folders_instead

FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""

COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
household_furniture insects large_carnivores large_man-made_outdoor_things
large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates
people reptiles small_mammals trees vehicles_1 vehicles_2
"""

CLASS_NAMES = {"fine": tuple(FINE.split()), "coarse": tuple(COARSE.split())}

ARCHIVE = "cifar-100-python.tar.gz"
FOLDER = "cifar-100-python"
META_FILE = "meta"
SPLITS = ("train", "test")  # the names of the files as well


def cifar100(root: str | None = None, labels: Literal["fine", "coarse"] = "fine") -> DataSet:
    """Return CIFAR-100, with its splits "train" and "test".

    Args:
        root: None: downloaded by Keras on first use, and kept in its cache (`~/.keras/datasets`).
            Else a folder with cifar-100-python/ in it, or that folder itself, or a folder with
            class folders (`class_folder`), whatever their classes and sizes.
        labels: "fine": 100 classes, 500 training images each; "coarse": 20 classes, 2,500 each.

    Raises:
        ValueError: If `labels` is another, `root` holds none of these, or a file of the archive is
            missing or damaged. `load()` raises ConnectionError (an OSError) if the download fails.
    """
    if labels not in CLASS_NAMES:
        raise ValueError(f"data.labels={labels}: must be fine (100 classes) or coarse (20).")
    files = f"{FOLDER}/"
    if root is None:
        load = partial(download, "CIFAR-100", "cifar100", files, label_mode=labels)
        return DataSet(name="cifar100", class_names=CLASS_NAMES[labels], load=load)
    folder = find_folder(Path(root).expanduser(), FOLDER, META_FILE)
    if folder is None:
        if labels == "coarse":
            raise ValueError(
                f"data.labels=coarse: only {FOLDER}/ tells the coarse labels, and it is not in "
                f"{root}; unpack {ARCHIVE} there, or set data.labels=fine."
            )
        return folders_instead("CIFAR-100", "cifar100", files, root)
    check_complete(folder, [META_FILE, *SPLITS], ARCHIVE)
    return DataSet(
        name="cifar100",
        class_names=read_names(folder / META_FILE, f"{labels}_label_names".encode(), ARCHIVE),
        load=partial(_load, folder, f"{labels}_labels".encode()),
    )


def _load(folder: Path, label_key: bytes) -> dict[str, Arrays]:
    splits: dict[str, Arrays] = {}
    for split in SPLITS:
        image, label = read_examples(folder / split, label_key, ARCHIVE)
        splits[split] = {"image": image, "label": label}
    return splits
