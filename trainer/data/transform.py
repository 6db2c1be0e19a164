"""From a raw batch to what the model sees: cast, augment (in training), standardise."""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer.data.dataset import is_label
from trainer.data.feeds import Batch

Augmentation = Callable[[Batch, tf.Tensor], Batch]
"""`(batch, key) -> batch`: `image` float32 [B, H, W, C] in [0, 1], `key` a stateless int64 [2]."""


class Transform:
    """The same preprocessing for training and evaluation, with augmentation in training alone.

    Attributes:
        mean: as given.
        std: as given.
        augment_until: the step from which on nothing is augmented; None: there is none. To be set
            before training is traced.

    Args:
        augment: name to augmentation, applied in this order to the global batch.
        mean: per channel, subtracted from images scaled to [0, 1]; None: no standardisation.
        std: per channel, above 0, what images are then divided by.
        seed: with the step and an augmentation's name, all that its draws depend on.
    """

    def __init__(
        self,
        augment: Mapping[str, Augmentation] | None = None,
        mean: Sequence[float] | np.ndarray | None = None,
        std: Sequence[float] | np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        self._augment = dict(augment or {})
        self.mean = mean
        self.std = std
        self.seed: int | tf.Tensor = seed
        self.augment_until: int | None = None

    def training(self, batch: Batch, step: tf.Tensor) -> Batch:
        """Return the batch of a training step; traced.

        Args:
            batch: as the feed gives it.
            step: int64 scalar, the updates done so far.

        Raises:
            ValueError: if an augmentation is of something that the batch does not have, or adds
                what it does not have and is to end.
        """
        batch = _cast(batch)
        if self.augment_until is None or not self._augment:
            return self.standardise(self._augmented(batch, step))
        augmented = tf.function(self._augmented, autograph=False).get_concrete_function(batch, step)
        like = augmented.structured_outputs
        if added := like.keys() - batch.keys():
            raise ValueError(
                f"augment_until: without augmentation examples have no {', '.join(sorted(added))}, "
                "which augment adds; leave augment_until out"
            )
        batch = tf.cond(
            step < self.augment_until,
            lambda: augmented(batch, step),
            lambda: {key: _in_the_form_of(like[key], batch[key]) for key in like},
        )
        return self.standardise(batch)

    def evaluation(self, batch: Batch) -> Batch:
        """Return the batch of an evaluation; traced."""
        return self.standardise(_cast(batch))

    def standardise(self, batch: Batch) -> Batch:
        """Return a batch whose images are in [0, 1] as the model takes it; traced."""
        if self.mean is None or self.std is None:
            return batch
        mean = tf.constant(self.mean, tf.float32)
        std = tf.constant(self.std, tf.float32)
        return {**batch, "image": (batch["image"] - mean) / std}

    def unstandardise(self, batch: Batch) -> Batch:
        """Return a batch that the model takes with its images in [0, 1] again; traced."""
        if self.mean is None or self.std is None:
            return batch
        mean = tf.constant(self.mean, tf.float32)
        std = tf.constant(self.std, tf.float32)
        return {**batch, "image": batch["image"] * std + mean}

    @property
    def standardisation(self) -> dict[str, list[float]]:
        """The `mean` and `std`, per channel, as plain values; empty without standardisation."""
        if self.mean is None or self.std is None:
            return {}
        pairs = {"mean": self.mean, "std": self.std}
        return {name: np.atleast_1d(values).tolist() for name, values in pairs.items()}

    def _augmented(self, batch: Batch, step: tf.Tensor) -> Batch:
        for name, operation in self._augment.items():
            try:
                batch = operation(batch, self._key(name, step))
            except KeyError as error:
                raise ValueError(
                    f"augment.{name}: the data has no {error}, it has {', '.join(batch)}; "
                    "leave it out with augment=none"
                ) from error
        return batch

    def _key(self, name: str, step: tf.Tensor) -> tf.Tensor:
        # The name keeps one augmentation's draws the same when another is added or removed.
        stream = (zlib.crc32(name.encode()) << 31) | self.seed
        return tf.stack([tf.convert_to_tensor(stream, tf.int64), tf.cast(step, tf.int64)])


def _in_the_form_of(augmented: tf.TensorSpec, tensor: tf.Tensor) -> tf.Tensor:
    """Return what was not augmented: class numbers as shares of classes where labels are mixed."""
    if augmented.dtype.is_floating and tensor.dtype.is_integer:
        return tf.gather(tf.eye(augmented.shape[-1], dtype=augmented.dtype), tensor)
    return tensor


def _cast(batch: Batch) -> Batch:
    return {key: _cast_one(key, tensor) for key, tensor in batch.items()}


def _cast_one(key: str, tensor: tf.Tensor) -> tf.Tensor:
    if is_label(key) and tensor.dtype.is_integer:
        return tf.cast(tensor, tf.int32)
    if tensor.dtype == tf.uint8:
        return tf.cast(tensor, tf.float32) / 255.0
    if key == "weight" or tensor.dtype.is_floating:
        return tf.cast(tensor, tf.float32)
    return tensor
