"""The first training images as the model sees them, augmentations included, in TensorBoard."""

from typing import Any

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.report.image_grid import grid, stretched


class ExampleImages(TrainerCallback):
    """Writes the images of the run's first batch once, at its first step.

    One picture of them all, stretched to the full range, since standardised values have none of
    their own.

    Args:
        num_images: how many, at least 1.
    """

    def __init__(self, num_images: int = 16) -> None:
        super().__init__()
        if num_images < 1:
            raise ValueError(f"callbacks.example_images.num_images={num_images}: at least 1")
        self._num_images = num_images

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Write the pictures, unless the run is taken up again."""
        trainer = self.trainer
        if trainer.step > 0 or trainer.writer is None or not trainer.data.has_images:
            return
        images = trainer.data.example_batch()["image"].numpy()[: self._num_images]
        if images.shape[-1] in (1, 3):
            trainer.writer.images("training images", grid(stretched(images))[None])
