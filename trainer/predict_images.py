"""A run's model on image files: probabilities or values for each, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.answers import Answer, answers_of, predictions_of
from trainer.config import ConfigError
from trainer.images_on_disk import read_images
from trainer.trained_model import TrainedModel

_SHIFT = 16  # an image is shifted by one part in so many of its side

Views = Callable[[tf.Tensor], list[tf.Tensor]]
"""Images [B, H, W, C] to several of them, each [B, H, W, C]."""

Predictions = dict[str | None, np.ndarray]
"""Float32 [B, K] by the name of the output; the name of a single one is None."""


def _as_it_is(images: tf.Tensor) -> list[tf.Tensor]:
    return [images]


def _flipped(images: tf.Tensor) -> list[tf.Tensor]:
    return [images, images[:, :, ::-1]]


def _shifted(images: tf.Tensor) -> list[tf.Tensor]:
    height, width = images.shape[1:3]
    down, right = max(1, height // _SHIFT), max(1, width // _SHIFT)
    padding = [(0, 0), (down, down), (right, right), (0, 0)]
    padded = tf.pad(images, padding, "SYMMETRIC")
    places = [(down, right), (0, right), (2 * down, right), (down, 0), (down, 2 * right)]
    return [padded[:, y : y + height, x : x + width] for y, x in places]


def _flipped_and_shifted(images: tf.Tensor) -> list[tf.Tensor]:
    return [view for flipped in _flipped(images) for view in _shifted(flipped)]


VIEWS: dict[str, Views] = {
    "none": _as_it_is,
    "flip": _flipped,
    "shift": _shifted,
    "flip_shift": _flipped_and_shifted,
}
"""Test-time augmentations: the mean of the predictions for these views is taken."""


class ImagePredictor:
    """A model with all that comes before and after it: pixels to predictions.

    Attributes:
        image_size: (height, width) of the images that it takes.
        channels: 1 or 3.
        batch_size: as given.
        answers: how the predictions of each output are read; a single output's name is None.

    Args:
        trained: of a run whose model takes one image.
        batch_size: images at a time. With that of an evaluation, an image's predictions are the
            evaluation's to the bit.
        views: one of `VIEWS`.

    Raises:
        ConfigError: if the model takes something else.
    """

    def __init__(self, trained: TrainedModel, batch_size: int, views: str = "none") -> None:
        height, width, self.channels = image_shape(trained)
        self.image_size = (height, width)
        self.batch_size = batch_size
        spec = tf.TensorSpec([batch_size, height, width, self.channels], tf.uint8)
        self.answers: dict[str | None, Answer] = {}
        self._views = VIEWS[views]

        @tf.function(autograph=False)
        def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = trained.transform.evaluation({"image": images})
            outputs = trained.model(batch["image"], training=False)
            self.answers = answers_of(trained, outputs)
            # A traced function's results have names of text.
            return {name or "": p for name, p in predictions_of(trained, outputs).items()}

        self._predict = predict.get_concrete_function(spec)

    def __call__(self, images: np.ndarray) -> Predictions:
        """Return predictions: probabilities, or values.

        Args:
            images: uint8 [B, H, W, C], at most `batch_size`.
        """
        missing = self.batch_size - len(images)
        padded = tf.constant(np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)]))
        of_views = [self._predict(view) for view in self._views(padded)]
        return {
            name or None: np.mean([p[name].numpy()[: len(images)] for p in of_views], axis=0)
            for name in of_views[0]
        }

    def files(self, paths: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, Predictions]]:
        """Predict image files in order; those that cannot be read are left out.

        Yields:
            int64 [B], places in `paths`; the images uint8 [B, H, W, C]; and their predictions.
        """
        for rows, images in read_images(paths, self.image_size, self.channels, self.batch_size):
            yield rows, images, self(images)


def image_shape(trained: TrainedModel) -> tuple[int, int, int]:
    """Return height, width and channels of the image that a model takes.

    Raises:
        ConfigError: if it takes something else, or more.
    """
    spec = trained.inputs.get("image")
    shape = () if spec is None else tuple(spec.shape)
    if len(trained.inputs) != 1 or len(shape) != 3 or shape[-1] not in (1, 3):
        takes = " and ".join(f"{name} {list(spec.shape)}" for name, spec in trained.inputs.items())
        raise ConfigError(
            f"{trained.model.name}: takes {takes}, not an image of 1 or 3 channels alone; `python "
            "-m trainer evaluate RUN_DIR` scores it on the run's own data, and from Python "
            "trainer.trained_model.load_trained gives it"
        )
    return shape


def default_batch_size(run_dir: Path, num_images: int) -> int:
    """Return the batch size of a run, or the number of images if these are fewer."""
    from trainer import config

    return max(1, min(int(config.load(run_dir).data.batch_size), num_images))
