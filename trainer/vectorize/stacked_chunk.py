"""The compiled chunk of several seeds: K steps of all of them in one graph call."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.loop import CAPACITY, Chunk, check_compiles_under_xla, is_fast_under_xla
from trainer.trainer import Trainer
from trainer.vectorize.converters import fast_conversion
from trainer.vectorize.refusals import check_step
from trainer.vectorize.stand_in import Standing

Scalars = dict[str, np.ndarray]


class StackedChunk:
    """Runs the same steps for several Trainers of one configuration, stacked along a first axis.

        state = stack the variables of the Trainers
        for k in range(num_steps):
            state, scalars[k] = vectorized(step of one of the Trainers)(state, seeds, plans, k)
        assign the state to the Trainers that run

    The step is that Trainer's own: model, loss, optimizer and metrics read and assign the
    values of one seed, as `stand_in` has them.

    Args:
        trainers: that differ in nothing but their seed.
        variables: of each, what the steps may read and change, in the same order.
        position: of the Trainer whose step it is.
        chunk: of that Trainer: training, or the evaluation of a split.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        variables: Sequence[Sequence[keras.Variable]],
        position: int,
        chunk: Chunk,
    ) -> None:
        self._data, self._chunk = trainers[position].data, chunk
        self._variables, self._own_variables = variables, variables[position]
        self._seeds = tf.constant([trainer.data.seed for trainer in trainers], tf.int64)
        self._compiled: Any = None
        self.is_jit_compiled = False

    @property
    def num_traces(self) -> int:
        """How often the chunk was traced."""
        return self._compiled.experimental_get_tracing_count() if self._compiled else 0

    def run(self, first_step: int, num_steps: int, chunks: Sequence[Chunk | None]) -> list[Scalars]:
        """Run the steps; return for each Trainer its scalars: name to float32 [num_steps].

        Args:
            first_step: steps done before.
            num_steps: from 1 to `CAPACITY`.
            chunks: of each Trainer, to say which batches are its; None: it takes no part, and its
                variables stay as they are.
        """
        runs = [chunk is not None for chunk in chunks]
        feeds = [(chunk or self._chunk).feed for chunk in chunks]
        plans = tf.stack([feed.plan(first_step, num_steps, CAPACITY) for feed in feeds])
        step = tf.constant(first_step, tf.int64)
        if self._compiled is None:
            self._compile(plans, step)
        buffer = self._compiled(plans, step, tf.constant(num_steps), tf.constant(runs)).numpy()
        columns = np.ascontiguousarray(buffer[:num_steps].transpose(2, 1, 0))
        return [dict(zip(self._names, of_one, strict=True)) for of_one in columns]

    def _compile(self, plans: tf.Tensor, step: tf.Tensor) -> None:
        self._step = tf.function(self._trace_step, autograph=False)
        traced = self._step.get_concrete_function(self._stacked(), plans, tf.constant(0), step)
        check_step(traced, self._own_variables)
        self._names = sorted(traced.structured_outputs[1])
        jit = self._chunk.jit_wanted
        if jit is True:
            check_compiles_under_xla(traced)
        self.is_jit_compiled = is_fast_under_xla(traced) if jit == "auto" else bool(jit)
        self._compiled = tf.function(
            self._trace_chunk, autograph=False, jit_compile=self.is_jit_compiled or None
        )

    def _stacked(self) -> list[tf.Tensor]:
        return [
            tf.stack([tf.convert_to_tensor(v) for v in same])
            for same in zip(*self._variables, strict=True)
        ]

    def _trace_step(
        self, values: list[tf.Tensor], plans: tf.Tensor, k: tf.Tensor, step: tf.Tensor
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Return the values after one step, of those that it assigns, and its scalars."""

        def of_one_seed(one: Any) -> Any:
            values, seed, plan = one
            with Standing(self._own_variables, values) as state, self._data.seeded(seed):
                scalars = self._chunk.trace_one_step(plan, k, step)
            self._are_assigned = state.are_assigned
            return _those(state.tensors, self._are_assigned), scalars

        with fast_conversion():
            return tf.vectorized_map(of_one_seed, (values, self._seeds, plans))

    def _trace_chunk(
        self, plans: tf.Tensor, first_step: tf.Tensor, num_steps: tf.Tensor, runs: tf.Tensor
    ) -> tf.Tensor:
        before = self._stacked()
        shape = [len(self._names), len(self._variables)]
        buffer = tf.TensorArray(tf.float32, CAPACITY, element_shape=shape)

        def body(k: tf.Tensor, buffer: tf.TensorArray, assigned: list[tf.Tensor]) -> Any:
            left = iter(assigned)
            pairs = zip(before, self._are_assigned, strict=True)
            values = [next(left) if is_assigned else value for value, is_assigned in pairs]
            assigned, scalars = self._step(values, plans, k, first_step + tf.cast(k, tf.int64))
            rows = tf.convert_to_tensor([scalars[name] for name in self._names], tf.float32)
            return k + 1, buffer.write(k, tf.reshape(rows, shape)), assigned

        _, buffer, after = tf.while_loop(
            lambda k, *_: k < num_steps,
            body,
            (tf.constant(0), buffer, _those(before, self._are_assigned)),
            parallel_iterations=1,
        )
        same = _those(list(zip(*self._variables, strict=True)), self._are_assigned)
        for variables, old, new in zip(
            same, _those(before, self._are_assigned), after, strict=True
        ):
            is_running = tf.reshape(runs, [-1] + [1] * (len(new.shape) - 1))
            new = tf.where(is_running, new, old)
            for variable, value in zip(variables, tf.unstack(new), strict=True):
                variable.assign(value)
        return buffer.stack()


def _those(things: list[Any], are_wanted: Sequence[bool]) -> list[Any]:
    return [thing for thing, is_wanted in zip(things, are_wanted, strict=True) if is_wanted]
