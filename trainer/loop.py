"""The compiled chunk: K steps in one graph call, their scalars in a buffer."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import distribution
from trainer.data.feeds import Batch, Feed

Step = Callable[[Batch], dict[str, tf.Tensor]]
Prepare = Callable[[Batch, tf.Tensor], Batch]

CAPACITY = 256
"""Steps in a chunk at most. Past about 100 a longer one is no faster, and its plan takes memory."""


class Chunk:
    """Runs steps `first_step … first_step + num_steps - 1` of a feed inside the graph.

        for k in range(num_steps):
            batch = prepare(feed.batch(plan, k), first_step + k)     # the global batch
            scalars[k] = mean over replicas of step(share of batch)  # on every replica

    One trace serves every number of steps.

    Args:
        step: `(batch) -> scalars`, single-replica maths; traced once.
        feed: where batches come from.
        prepare: `(batch, step) -> batch`, on the global batch.
        strategy: whose replicas share a batch.
    """

    def __init__(
        self, step: Step, feed: Feed, prepare: Prepare, strategy: tf.distribute.Strategy
    ) -> None:
        self._step = step
        self._feed = feed
        self._prepare = prepare
        self._strategy = strategy
        self._one_step = tf.function(self._trace_one_step)
        self._compiled = tf.function(self._trace_chunk, autograph=False)

    def run(self, first_step: int, num_steps: int) -> dict[str, np.ndarray]:
        """Run the steps and return their scalars: name to float32 [num_steps].

        Args:
            first_step: steps done before; the position in the data.
            num_steps: from 1 to `CAPACITY`.

        Raises:
            UnreadableExamplesError: naming examples on disk that cannot be read.
        """
        plan = self._feed.plan(first_step, num_steps, CAPACITY)
        try:
            buffers = self._compiled(
                plan, tf.constant(first_step, tf.int64), tf.constant(num_steps, tf.int32)
            )
        except tf.errors.OpError:
            self._feed.check(first_step, num_steps)
            raise
        return {name: buffer.numpy()[:num_steps] for name, buffer in buffers.items()}

    @property
    def num_traces(self) -> int:
        """How often the chunk was traced."""
        return self._compiled.experimental_get_tracing_count()

    def _trace_one_step(self, plan: Any, k: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = self._prepare(self._feed.batch(plan, k), step)
        scalars = self._strategy.run(self._replica_step, args=(batch,))
        # The mean is the same on all replicas: any copy will do.
        return {
            name: self._strategy.experimental_local_results(scalar)[0]
            for name, scalar in scalars.items()
        }

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        scalars = self._step(distribution.share_of_replica(batch))
        scalars = {name: tf.cast(value, tf.float32) for name, value in scalars.items()}
        return distribution.mean_over_replicas(scalars) if scalars else scalars

    def _trace_chunk(
        self, plan: Any, first_step: tf.Tensor, num_steps: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        # Tracing the step first tells the names of its scalars; the loop then calls that trace.
        traced = self._one_step.get_concrete_function(plan, tf.constant(0), first_step)
        names = sorted(traced.structured_outputs)
        buffers = [tf.TensorArray(tf.float32, CAPACITY, element_shape=[]) for _ in names]

        def body(k: tf.Tensor, buffers: list[tf.TensorArray]) -> tuple[tf.Tensor, list]:
            scalars = self._one_step(plan, k, first_step + tf.cast(k, tf.int64))
            written = [b.write(k, scalars[name]) for b, name in zip(buffers, names, strict=True)]
            return k + 1, written

        _, buffers = tf.while_loop(
            lambda k, buffers: k < num_steps, body, (tf.constant(0), buffers), parallel_iterations=1
        )
        return {name: buffer.stack() for name, buffer in zip(names, buffers, strict=True)}


class Pace:
    """How many steps make a chunk of about a second, so that a signal is answered promptly.

    Args:
        seconds: how long a chunk may last.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._num_steps = 1
        self._started = 0.0
        self._is_first = True

    def num_steps(self, at_most: int) -> int:
        """Return the length of the next chunk, and start its clock."""
        self._started = time.perf_counter()
        return max(1, min(at_most, self._num_steps, CAPACITY))

    def done(self, num_steps: int) -> float:
        """Take note of a chunk that has ended; return its duration in seconds."""
        elapsed = time.perf_counter() - self._started
        if self._is_first:
            # The first chunk was traced: its duration says nothing.
            self._is_first = False
        else:
            affordable = int(self._seconds * num_steps / max(elapsed, 1e-9))
            self._num_steps = min(affordable, 4 * self._num_steps)
        return elapsed
