"""A class folder through Keras' loader and augmentation layers."""

from pathlib import Path

import keras
import tensorflow as tf

BATCH_SIZE = 128
MAX_SHIFT = 4  # pixels


class KerasFolder:
    """Reads every batch of an epoch from `image_dataset_from_directory`; nothing is trained.

    As in keras.io/examples/vision/image_classification_from_scratch: the layers are mapped over
    batches in parallel, and batches are prefetched. Files are decoded anew in every epoch.

    Args:
        root: holds the class folders.
        augment: flip and shift, and scale to [0, 1].
    """

    def __init__(self, root: Path, augment: bool = True) -> None:
        size = _size_of_first_image(root)
        self._dataset = keras.utils.image_dataset_from_directory(
            root, batch_size=BATCH_SIZE, image_size=size, seed=0, verbose=False
        )
        if augment:
            layers = keras.Sequential(
                [
                    keras.layers.Rescaling(1 / 255),
                    keras.layers.RandomFlip("horizontal"),
                    keras.layers.RandomTranslation(
                        MAX_SHIFT / size[0], MAX_SHIFT / size[1], fill_mode="reflect"
                    ),
                ]
            )
            self._dataset = self._dataset.map(
                lambda images, labels: (layers(images, training=True), labels),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        self._dataset = self._dataset.prefetch(tf.data.AUTOTUNE)

    def run(self, num_epochs: int) -> int:
        """Go through some epochs; return the number of images."""
        num_images = 0
        for _ in range(num_epochs):
            for _, labels in self._dataset:
                num_images += len(labels)
        return num_images


def _size_of_first_image(root: Path) -> tuple[int, int]:
    first = next(
        path for path in sorted(root.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")
    )
    height, width, _ = tf.io.decode_jpeg(tf.io.read_file(str(first))).shape
    return height, width
