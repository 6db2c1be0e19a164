"""Image classification sets of TensorFlow Datasets (tensorflow.org/datasets), by their name.

The package is no dependency: pip install tensorflow-datasets.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.dataset import Arrays, DataSet
from trainer.data.decoding import resize
from trainer.data.image_splits import check_image_arguments
from trainer.data.placement import LARGEST_SHARE, memory_size

SPLIT_NAMES = {"train": "train", "validation": "val", "test": "test"}

READ_AT_ONCE = 256

# name, name/config, name:version. Others would fetch a community's code, and run it.
_NAME = re.compile(r"[A-Za-z]\w*(/[\w.+-]+)?(:[\d.*]+)?")


def tensorflow_datasets(
    dataset: str,
    root: str | None = None,
    image_size: Sequence[int] | None = None,
    image_key: str = "image",
    label_key: str = "label",
) -> DataSet:
    """Return a data set of TensorFlow Datasets, held in memory.

    Its splits "train", "validation" (as "val") and "test" are used, in its own order. It is
    downloaded and prepared on first use.

    Args:
        dataset: Its name in the catalogue, such as "cats_vs_dogs", "cifar10_corrupted/fog_3" or
            "oxford_flowers102:2.1.1".
        root: Where prepared sets are kept. Default: `~/tensorflow_datasets`.
        image_size: [height, width] that images are resized to. Needed where their sizes differ.
        image_key: Which feature is the image, uint8.
        label_key: Which feature is the class.

    Raises:
        ValueError: If the package is not installed, it has no such set, the set has no such image
            and class, its sizes differ, or it would take over half of the memory. `load()` raises
            ConnectionError (an OSError) if it cannot be downloaded.
    """
    check_image_arguments(image_size, None)
    if not _NAME.fullmatch(dataset):
        raise ValueError(
            f"data.dataset={dataset}: must be a name of the catalogue, such as cats_vs_dogs, "
            "cifar10_corrupted/fog_3 or oxford_flowers102:2.1.1."
        )
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ValueError(
            f"data.dataset={dataset}: needs the package TensorFlow Datasets ({error}); "
            "pip install tensorflow-datasets"
        ) from None
    try:
        builder = tfds.builder(dataset, data_dir=root)
    except Exception as error:  # its own kinds, by what is wrong with the name
        raise ValueError(
            f"data.dataset={dataset}: TensorFlow Datasets {tfds.__version__} cannot build it "
            f"({_first_line(error)}); its names are at tensorflow.org/datasets/catalog."
        ) from None
    class_names = _class_names(builder, dataset, label_key)
    shape = _image_shape(builder, dataset, image_key, image_size)
    return DataSet(
        name=dataset.split(":")[0].replace("/", "_"),
        class_names=class_names,
        load=partial(_load, builder, dataset, image_key, label_key, shape),
    )


def _class_names(builder: Any, dataset: str, label_key: str) -> tuple[str, ...]:
    features = dict(builder.info.features.items())
    names = getattr(features.get(label_key), "names", None)
    if not names:
        raise ValueError(
            f"data.label_key={label_key}: {dataset} has no such class label; its features are "
            f"{', '.join(features)}."
        )
    return tuple(names)


def _image_shape(
    builder: Any, dataset: str, image_key: str, image_size: Sequence[int] | None
) -> tuple[int, int, int]:
    features = dict(builder.info.features.items())
    shape: Sequence[Any] = getattr(features.get(image_key), "shape", ())
    if len(shape) != 3 or tf.as_dtype(features[image_key].dtype) != tf.uint8:
        raise ValueError(
            f"data.image_key={image_key}: {dataset} has no such uint8 image; its features are "
            f"{', '.join(features)}."
        )
    height, width = image_size or shape[:2]
    if height is None or width is None:
        raise ValueError(
            f"data.dataset={dataset}: its images are of different sizes; set "
            "data.image_size=[HEIGHT,WIDTH]."
        )
    return height, width, shape[2]


def _load(
    builder: Any, dataset: str, image_key: str, label_key: str, shape: tuple[int, int, int]
) -> dict[str, Arrays]:
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise ConnectionError(
            f"data.dataset={dataset}: could not be downloaded and prepared ({_first_line(error)}); "
            "connect to the network, or give a folder with the prepared set with data.root=DIR."
        ) from None
    sizes = {
        name: builder.info.splits[name].num_examples
        for name in SPLIT_NAMES
        if name in builder.info.splits
    }
    needed, memory = sum(sizes.values()) * int(np.prod(shape)), memory_size()
    if needed > LARGEST_SHARE * memory:
        raise ValueError(
            f"data.dataset={dataset}: {sum(sizes.values()):,} images of "
            f"{'x'.join(map(str, shape))} ({needed / 2**30:.1f} GiB) would take more than half of "
            f"this machine's {memory / 2**30:.1f} GiB; make them smaller with "
            "data.image_size=[HEIGHT,WIDTH]."
        )

    def example(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = resize(features[image_key], shape[:2])  # leaves the right size as it is
        return tf.ensure_shape(pixels, shape), tf.cast(features[label_key], tf.int32)

    splits: dict[str, Arrays] = {}
    for name, size in sizes.items():
        image, label = np.empty((size, *shape), np.uint8), np.empty(size, np.int32)
        start = 0
        batches = builder.as_dataset(split=name).map(example).batch(READ_AT_ONCE)
        for images, labels in batches.as_numpy_iterator():
            image[start : start + len(labels)] = images
            label[start : start + len(labels)] = labels
            start += len(labels)
        splits[SPLIT_NAMES[name]] = {"image": image, "label": label}
    return splits


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[0].split())
