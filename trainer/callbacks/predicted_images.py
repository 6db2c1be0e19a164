"""Validation images with what the model takes them for, right and wrong, in TensorBoard."""

from collections.abc import Mapping

import numpy as np

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.data.data import labels_of, model_inputs
from trainer.predictions import activated, as_classes
from trainer.report.image_grid import stretched


class PredictedImages(AtEvaluations):
    """Draws some of the first validation images after an evaluation: wrong ones before right ones.

    They are the same images at every evaluation, looked through in the same order. Where the model
    does not tell classes of images apart, nothing is drawn.

    Args:
        at_most_every: the least distance between two pictures; see `AtEvaluations`.
        num_images: how many are drawn, at least 1.
        num_looked_at: how many are predicted to find wrong ones, at least `num_images`; as many as
            a batch has at most.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self, at_most_every: str = "10%", num_images: int = 24, num_looked_at: int = 64
    ) -> None:
        super().__init__(at_most_every)
        if not 1 <= num_images <= num_looked_at:
            raise ValueError(
                f"num_images={num_images}: from 1 to num_looked_at={num_looked_at}; these are "
                "drawn, and those predicted"
            )
        self._num_images = num_images
        self._num_looked_at = num_looked_at

    def on_model_built(self) -> None:
        """Find out whether there are images of classes."""
        self._applies = self.trainer.data.has_images and None in self.class_outputs()

    def show(self) -> None:
        """Predict the first validation images, and draw some."""
        trainer, writer = self.trainer, self.trainer.writer
        names = trainer.data.class_names
        if writer is None or not self._applies:
            return
        batch = {k: x[: self._num_looked_at] for k, x in trainer.data.example_batch("val").items()}
        labels = labels_of(batch)
        if not labels.dtype.is_integer or labels.shape.rank != 1:
            return
        with trainer.updater.averaged_weights():
            outputs = trainer.model(model_inputs(batch), training=False)
        if isinstance(outputs, Mapping):
            return
        found = as_classes(activated(outputs, trainer.activation, labels)).numpy()
        images = batch["image"].numpy()
        if found.shape[1:] != (len(names),) or images.shape[-1] not in (1, 3):
            return
        shown = self._choose(found.argmax(axis=1) == labels.numpy(), batch["weight"].numpy() > 0)
        self._draw(stretched(images)[shown], labels.numpy()[shown], found[shown])

    def _choose(self, is_right: np.ndarray, is_example: np.ndarray) -> np.ndarray:
        """Return which to draw: wrong ones, and for a third right ones where there are so many."""
        wrong, right = np.flatnonzero(~is_right & is_example), np.flatnonzero(is_right & is_example)
        num_right = max(self._num_images // 3, self._num_images - len(wrong))
        chosen = right[:num_right]
        return np.concatenate([wrong[: self._num_images - len(chosen)], chosen])

    def _draw(self, images: np.ndarray, labels: np.ndarray, found: np.ndarray) -> None:
        # Pillow's fonts take a moment to import.
        from trainer.report.captioned_images import GREEN, RED, captioned_images

        names, captions = self.trainer.data.class_names, []
        predicted = found.argmax(axis=1)
        for label, guess, share in zip(labels, predicted, found.max(axis=1), strict=True):
            line = f"{names[guess]} {share:.0%}"
            captions.append(line if guess == label else f"{line}\nis {names[label]}")
        colors = [GREEN if is_right else RED for is_right in predicted == labels]
        picture = captioned_images(images, captions, colors, num_columns=8)
        if self.trainer.writer:
            self.trainer.writer.images("predictions", picture[None], self.trainer.step, "val")
