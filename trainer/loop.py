"""The compiled chunk: K steps in one graph call, their scalars in a buffer."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import distribution
from trainer.data.feeds import Batch, Feed

Step = Callable[[Batch, tf.Tensor], dict[str, tf.Tensor]]
Prepare = Callable[[Batch, tf.Tensor], Batch]

CAPACITY = 1024
"""Steps in a chunk at most. A call costs about a millisecond, a tiny step 0.04; past this only the
plan would grow."""

# Inside an XLA loop on a CPU these run several times slower than TensorFlow's own kernels.
_SLOW_UNDER_XLA = ("Conv", "DepthwiseConv", "MaxPool", "AvgPool", "FusedBatchNorm")
# These XLA does not compile at all.
_NOT_UNDER_XLA = ("Iterator", "EagerPyFunc", "PyFunc", "RandomIndexShuffle")


_WAITED = "seconds waited for data"


class Chunk:
    """Runs steps `first_step … first_step + num_steps - 1` of a feed inside the graph.

        for k in range(num_steps):
            batch = prepare(feed.batch(plan, k), first_step + k)     # the global batch
            scalars[k] = mean over replicas of step(share of batch)  # on every replica
            commit()                                                 # once, outside the replicas

    One trace serves every number of steps.

    Args:
        step: `(batch, step) -> scalars`, single-replica maths; traced once.
        feed: where batches come from.
        prepare: `(batch, step) -> batch`, on the global batch.
        strategy: whose replicas share a batch.
        commit: what ends a step, outside the replicas.
        jit: whether XLA compiles the whole chunk. `auto`: on one CPU, unless the step has a
            convolution, a pooling or what XLA cannot compile. Dense networks become several times
            faster, convolutions in the loop about eight times slower; GPUs were not measured.
        part: of a run: `train`, or such as `evaluation of val`.
    """

    def __init__(
        self,
        step: Step,
        feed: Feed,
        prepare: Prepare,
        strategy: tf.distribute.Strategy,
        commit: Callable[[], None] = lambda: None,
        jit: bool | str = False,
        part: str = "train",
    ) -> None:
        if jit is True and strategy.num_replicas_in_sync > 1:
            raise ValueError("jit=true: XLA compiles for one device; use jit=auto or strategy=none")
        if jit is True and feed.waits:
            raise ValueError("jit=true: XLA takes no batches from an iterator; use jit=auto")
        self._step = step
        self.feed = feed
        self._prepare = prepare
        self._strategy = strategy
        self._commit = commit
        self.part = part
        self._jit = self.jit_wanted = jit
        self.data_seconds = 0.0
        """Time that all runs so far have spent on waiting for data."""
        self._compiled: Any = None
        self.graph: tf.Graph | None = None
        """Of one step, once it is traced; to look at."""
        self.retrace()

    def run(self, first_step: int, num_steps: int) -> dict[str, np.ndarray]:
        """Run the steps and return their scalars: name to float32 [num_steps].

        Args:
            first_step: steps done before; the position in the data.
            num_steps: from 1 to `CAPACITY`.

        Raises:
            UnreadableExamplesError: naming examples on disk that cannot be read.
        """
        started = time.perf_counter()
        plan = self.feed.plan(first_step, num_steps, CAPACITY)
        self.data_seconds += time.perf_counter() - started
        step = tf.constant(first_step, tf.int64)
        if self._compiled is None:
            self._compile(plan, step)
        try:
            buffer = self._compiled(plan, step, tf.constant(num_steps, tf.int32))
        except tf.errors.OpError:
            self.feed.check(first_step, num_steps)
            raise
        columns = np.ascontiguousarray(buffer.numpy()[:num_steps].T)
        scalars = dict(zip(self._names, columns, strict=True))
        if _WAITED in scalars:
            self.data_seconds += float(scalars.pop(_WAITED).sum())
        return scalars

    def retrace(self) -> None:
        """Trace the step anew at the next run, since what it does has changed."""
        self._one_step = tf.function(self.trace_one_step)
        self._compiled = None
        self._jit = self.jit_wanted

    def look_up(self, step: int) -> tuple[Batch, Batch]:
        """Return the batch of a step, to look at: as the feed gives it, and as the step sees it.

        Random numbers are drawn as in the compiled steps. The position of the feed stays.

        Args:
            step: steps done before.

        Raises:
            UnreadableExamplesError: naming examples on disk that cannot be read.
        """
        feed = self.feed.apart()
        plan = feed.plan(step, 1, CAPACITY)
        if self._compiled is None:
            self._compile(plan, tf.constant(step, tf.int64))
        prepare = tf.function(self._prepare, autograph=False, jit_compile=bool(self._jit) or None)
        try:
            raw = feed.batch(plan, tf.constant(0))
            return raw, prepare(raw, tf.constant(step, tf.int64))
        except tf.errors.OpError:
            self.feed.check(step, 1)
            raise

    def run_eagerly(self, batch: Batch, step: int) -> dict[str, float]:
        """Run one step operation by operation, to look into it; return its scalars.

        Args:
            batch: the second one that `look_up` returns.
            step: steps done before.
        """
        scalars = self._step_on(batch, tf.constant(step, tf.int64))
        return {name: float(value) for name, value in scalars.items()}

    def pace(self) -> "Pace":
        """Return what says how many steps to run at once."""
        return Pace()

    @property
    def num_traces(self) -> int:
        """How often the chunk was traced."""
        return self._compiled.experimental_get_tracing_count() if self._compiled else 0

    @property
    def is_jit_compiled(self) -> bool:
        """Whether XLA compiles the chunk; known after the first run."""
        return bool(self._jit)

    def _compile(self, plan: Any, step: tf.Tensor) -> None:
        # Tracing the step first tells its scalars' names and its operations; the loop then calls
        # that trace.
        traced = self._one_step.get_concrete_function(plan, tf.constant(0), step)
        self._names = sorted(traced.structured_outputs)
        self.graph = traced.graph
        if self._jit is True:
            check_compiles_under_xla(traced)
        if self._jit == "auto":
            self._jit = self._strategy.num_replicas_in_sync == 1 and is_fast_under_xla(traced)
        self._compiled = tf.function(
            self._trace_chunk, autograph=False, jit_compile=bool(self._jit) or None
        )

    def trace_one_step(self, plan: Any, k: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Make the k-th step of a plan, and return its scalars; traced.

        Args:
            plan: of the feed.
            k: int32 scalar, the position in the plan.
            step: int64 scalar, the steps done before.
        """
        batch, waited = self._next_batch(plan, k)
        return waited | self._step_on(self._prepare(batch, step), step)

    def _step_on(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        scalars = self._strategy.run(self._replica_step, args=(batch, step))
        self._commit()
        # The mean is the same on all replicas: any copy will do.
        return {
            name: self._strategy.experimental_local_results(scalar)[0]
            for name, scalar in scalars.items()
        }

    def _next_batch(self, plan: Any, k: tf.Tensor) -> tuple[Batch, dict[str, tf.Tensor]]:
        if not self.feed.waits:
            return self.feed.batch(plan, k), {}
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = self.feed.batch(plan, k)
        with tf.control_dependencies(list(batch.values())):
            waited = tf.timestamp() - before
        return batch, {_WAITED: tf.cast(waited, tf.float32)}

    def _replica_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        scalars = self._step(distribution.share_of_replica(batch), step)
        scalars = {name: tf.cast(value, tf.float32) for name, value in scalars.items()}
        return distribution.mean_over_replicas(scalars) if scalars else scalars

    def _trace_chunk(self, plan: Any, first_step: tf.Tensor, num_steps: tf.Tensor) -> tf.Tensor:
        buffer = tf.TensorArray(tf.float32, CAPACITY, element_shape=[len(self._names)])

        def body(k: tf.Tensor, buffer: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            scalars = self._one_step(plan, k, first_step + tf.cast(k, tf.int64))
            row = tf.convert_to_tensor([scalars[name] for name in self._names], tf.float32)
            return k + 1, buffer.write(k, row)

        _, buffer = tf.while_loop(
            lambda k, _: k < num_steps, body, (tf.constant(0), buffer), parallel_iterations=1
        )
        return buffer.stack()


def is_fast_under_xla(traced: Any) -> bool:
    """Return whether a traced function is one that XLA makes faster on a CPU.

    Args:
        traced: a concrete function.
    """
    if tf.config.list_logical_devices("GPU"):
        return False
    return not any(op.startswith(_SLOW_UNDER_XLA + _NOT_UNDER_XLA) for op in _operations(traced))


def check_compiles_under_xla(traced: Any) -> None:
    """Check that XLA compiles a traced function at all.

    Args:
        traced: a concrete function.

    Raises:
        ValueError: if it holds an operation that is known not to compile.
    """
    for op in sorted(_operations(traced)):
        if op.startswith(_NOT_UNDER_XLA):
            what = (
                "a Python function, such as a loss's" if "PyFunc" in op else f"the operation {op}"
            )
            raise ValueError(f"jit=true: XLA does not compile {what}; use jit=auto")


def _operations(traced: Any) -> set[str]:
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return {node.op for node in nodes}


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
            self._num_steps = max(1, min(affordable, 4 * self._num_steps))
        return elapsed
