"""Which examples make up a batch: a pure function of (seed, step), whatever ran before."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

PADDING = -1
"""The index of no example: what fills up the last batch of an evaluation."""


@dataclass
class ShuffledOrder:
    """A new permutation every epoch; a last partial batch is dropped.

    Args:
        num_examples: size of the training split, at least `batch_size`.
        batch_size: examples in a global batch.
        seed: with the epoch, all that the order depends on.

    Raises:
        ValueError: if there is not one full batch.
    """

    num_examples: int
    batch_size: int
    seed: int
    _epoch: tuple[int, np.ndarray] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.num_examples < self.batch_size:
            raise ValueError(
                f"data.batch_size={self.batch_size}: the training split has only "
                f"{self.num_examples} examples; choose data.batch_size={self.num_examples} or less"
            )

    has_padding: ClassVar[bool] = False
    """Whether `indices` may hold `PADDING`."""

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return self.num_examples // self.batch_size

    def indices(self, first_step: int, num_steps: int) -> np.ndarray:
        """Return the examples of consecutive steps: int32 [num_steps, batch_size]."""
        parts, step, end = [], first_step, first_step + num_steps
        while step < end:
            epoch, first = divmod(step, self.steps_per_epoch)
            last = min(self.steps_per_epoch, first + end - step)
            parts.append(self._permutation(epoch)[first * self.batch_size : last * self.batch_size])
            step += last - first
        return np.concatenate(parts).reshape(num_steps, self.batch_size)

    def _permutation(self, epoch: int) -> np.ndarray:
        cached = self._epoch  # read once: threads of several iterators may be here together
        if cached is None or cached[0] != epoch:
            generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
            cached = epoch, generator.permutation(self.num_examples).astype(np.int32)
            self._epoch = cached
        return cached[1]


@dataclass(frozen=True)
class SequentialOrder:
    """Every example once, in order; the last batch is filled up with `PADDING`.

    Args:
        num_examples: size of the split, at least 1.
        batch_size: examples in a global batch.
    """

    num_examples: int
    batch_size: int

    @property
    def has_padding(self) -> bool:
        """Whether `indices` may hold `PADDING`."""
        return self.num_examples % self.batch_size > 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass, the padded one included."""
        return -(-self.num_examples // self.batch_size)

    def indices(self, first_step: int, num_steps: int) -> np.ndarray:
        """Return the examples of consecutive batches: int32 [num_steps, batch_size]."""
        first = first_step * self.batch_size
        flat = np.arange(first, first + num_steps * self.batch_size, dtype=np.int32)
        flat[flat >= self.num_examples] = PADDING
        return flat.reshape(num_steps, self.batch_size)
