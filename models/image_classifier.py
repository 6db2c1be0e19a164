"""What every subclassed model here shares, so that a new one is its layers and its `call`."""

from typing import Any

import keras


class ImageClassifier(keras.Model):
    """Base of the models that map images [B, H, W, C] to logits [B, num_classes].

    A subclass creates its layers in `__init__`, applies them in `call(inputs, training=False)`,
    and adds arguments of its own to `get_config`. Layers may be kept in a list. It is
    registered with `keras.saving.register_keras_serializable`, so that `.keras` files load.

    Attributes:
        takes_any_rank: Whether inputs may be [B, ...], as where a model flattens them.
        min_fixed_size: Least height and width, in pixels, of the images of a model that must be
            built for one size; None where they may be of any.

    Args:
        num_classes: Number of logits, at least 1: one for each class, or, of two classes, one alone
            for the second of them.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 1.
    """

    takes_any_rank = False
    min_fixed_size: int | None = None

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1:
            raise ValueError(
                f"num_classes must be an integer of at least 1. Received: {num_classes!r}. "
                "Give as many as the data has, or 1 where it has two."
            )
        self.num_classes = num_classes

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables of all layers for images of `input_shape` [B, H, W, C].

        One symbolic `call` does it. It also tells each layer its output, so that `summary()`
        shows shapes where other subclassed models show "?", and `layer.output` works.

        Args:
            input_shape: Batch size (None: any), height and width in pixels, and channels.

        Raises:
            ValueError: If `input_shape` has not four entries and the model does not take others, or
                images have no fixed size where they must have one of at least `min_fixed_size`.
        """
        least = self.min_fixed_size
        if least and any(size is None or size < least for size in input_shape[1:3]):
            raise ValueError(
                f"{self.name} needs images of one size, at least {least}x{least} pixels. "
                f"Received: input_shape={input_shape}. Resize the images."
            )
        if len(input_shape) != 4 and not self.takes_any_rank:
            raise ValueError(
                f"{self.name} takes images [B, H, W, C]. Received: input_shape={input_shape}. "
                "Give images without colour a last axis of size 1."
            )
        self.call(keras.KerasTensor((None, *input_shape[1:])))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
