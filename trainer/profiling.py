"""A profile of some steps, for TensorBoard's profile page."""

from pathlib import Path

import tensorflow as tf


class Profile:
    """Records steps of a run once, after the first chunk, which is spent tracing.

    Args:
        num_steps: how many, 0 for none.
        folder: gets `plugins/profile/`; the page needs the package `tensorboard-plugin-profile`.
    """

    def __init__(self, num_steps: int, folder: Path | None) -> None:
        self._num_left = num_steps if folder else 0
        self._folder = folder
        self._is_running = False

    def at_most(self, num_steps: int) -> int:
        """Return how long the next chunk may be, so that no more steps are recorded."""
        return min(num_steps, self._num_left) if self._is_running else num_steps

    def done(self, num_steps: int) -> None:
        """Take note of a chunk: start after the first one, stop after the last one recorded."""
        if self._is_running:
            self._num_left -= num_steps
            if self._num_left <= 0:
                self.close()
        elif self._num_left > 0:
            tf.profiler.experimental.start(str(self._folder))
            self._is_running = True

    def close(self) -> None:
        """Write what was recorded, if recording is going on."""
        if self._is_running:
            tf.profiler.experimental.stop()
            self._is_running, self._num_left = False, 0
