"""Runs of several seeds, each in a thread of its own, whose chunks are run together.

Only one thread goes on at a time: the others wait for a chunk, or for their turn. So each run is
an ordinary one, and nothing has to be made for several threads.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np

from trainer.loop import CAPACITY, Chunk, Pace
from trainer.signals import StopRequest
from trainer.trainer import Trainer
from trainer.vectorize.refusals import check_together
from trainer.vectorize.stacked_chunk import Scalars, StackedChunk

T = TypeVar("T")
Answer = tuple[int, Scalars]


class _Request(NamedTuple):
    """Steps that a run asks for; those that are furthest behind are run first."""

    step_of_run: int
    part: str
    first_step: int


class SeedGroup:
    """Several runs that differ in nothing but their seed.

    Args:
        num_runs: how many there are.
        stop: the request of whoever sends signals, which all runs then obey.
    """

    def __init__(self, num_runs: int, stop: StopRequest) -> None:
        self._stop = stop
        self._turn = threading.Condition()
        self._active = set(range(num_runs))
        self._trainers: dict[int, Trainer] = {}
        self._stacked: dict[str, StackedChunk] = {}
        self._paces: dict[str, _CommonPace] = {}
        self._requests: dict[int, tuple[_Request, int, Chunk]] = {}
        self._answers: dict[int, Any] = {}

    def run(self, index: int, train: Callable[[], Any]) -> Any:
        """Call `train`, which builds a Trainer, lets it `join` and fits it; in its thread."""
        with self._turn:
            try:
                return train()
            finally:
                if index in self._trainers:
                    self._trainers[index].run_chunks_by(Chunk)
                self._active.discard(index)
                self._go_on()

    def join(self, index: int, trainer: Trainer) -> None:
        """Have a Trainer's steps run together with those of the others from now on."""
        self._trainers[index] = trainer
        trainer.run_chunks_by(functools.partial(_SharedChunk, self, index))

    def pace(self, part: str) -> "_CommonPace":
        """Return the one pace of a part of all runs."""
        return self._paces.setdefault(part, _CommonPace())

    def stacked(self, part: str) -> StackedChunk | None:
        """Return what runs a part of all runs, once it is traced."""
        return self._stacked.get(part)

    def steps(self, index: int, chunk: Chunk, first_step: int, num_steps: int) -> Answer:
        """Return how many steps were run and their scalars, once all runs have asked for some."""
        trainer = self._trainers[index]
        request = _Request(trainer.step, chunk.part, first_step)
        self._requests[index] = request, num_steps, chunk
        self._go_on()
        while index not in self._answers:
            self._turn.wait()
        answer = self._answers.pop(index)
        if self._stop.received and trainer.stop_request:
            trainer.stop_request.received = self._stop.received
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _go_on(self) -> None:
        """Run steps, if no run is still at something else."""
        if not self._requests or self._requests.keys() < self._active:
            return
        request = min(asked[0] for asked in self._requests.values())
        together = {k: asked for k, asked in self._requests.items() if asked[0] == request}
        for index in together:
            del self._requests[index]
        num_steps = min(num_steps for _, num_steps, _ in together.values())
        chunks = {index: chunk for index, (*_, chunk) in together.items()}
        try:
            answers = self._run(request, num_steps, chunks)
        except Exception as error:  # each run ends as it would alone
            answers = dict.fromkeys(together, error)
        self._answers.update(answers)
        self._turn.notify_all()

    def _run(self, request: _Request, num_steps: int, chunks: dict[int, Chunk]) -> dict[int, Any]:
        part, members = request.part, sorted(self._trainers)
        if part not in self._stacked:
            trainers = [self._trainers[index] for index in members]
            check_together(trainers)
            variables = [_variables(trainer, part) for trainer in trainers]
            first = min(chunks)
            self._stacked[part] = StackedChunk(
                trainers, variables, members.index(first), chunks[first]
            )
        in_order = [chunks.get(index) for index in members]
        scalars = self.pace(part).measure(
            num_steps, lambda: self._stacked[part].run(request.first_step, num_steps, in_order)
        )
        return {
            index: (num_steps, of_one)
            for index, of_one in zip(members, scalars, strict=True)
            if index in chunks
        }


class _SharedChunk(Chunk):
    """A chunk of one run, whose steps the group runs."""

    def __init__(self, group: SeedGroup, index: int, *arguments: Any, **settings: Any) -> None:
        self._group, self._index = group, index
        super().__init__(*arguments, **settings)

    def run(self, first_step: int, num_steps: int) -> Scalars:
        """Run the steps and return their scalars: name to float32 [num_steps]."""
        parts, num_done = [], 0
        while num_done < num_steps:
            step, num_left = first_step + num_done, num_steps - num_done
            num_run, scalars = self._group.steps(self._index, self, step, num_left)
            parts.append(scalars)
            num_done += num_run
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def pace(self) -> Pace:
        """Return what says how many steps to run at once: the same for all runs."""
        return self._group.pace(self.part)

    @property
    def num_traces(self) -> int:
        """How often the chunk was traced."""
        stacked = self._group.stacked(self.part)
        return stacked.num_traces if stacked else 0

    @property
    def is_jit_compiled(self) -> bool:
        """Whether XLA compiles the chunk; known after the first run."""
        stacked = self._group.stacked(self.part)
        return bool(stacked and stacked.is_jit_compiled)


class _CommonPace(Pace):
    """Says the same to all runs between two chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._at_once, self._elapsed = 1, 0.0

    def num_steps(self, at_most: int) -> int:
        """Return the length of the next chunk."""
        return min(at_most, self._at_once)

    def done(self, num_steps: int) -> float:
        """Return the duration of the last chunk in seconds."""
        del num_steps
        return self._elapsed

    def measure(self, num_steps: int, run: Callable[[], T]) -> T:
        """Run a chunk, and let its duration say how long the next one may be."""
        super().num_steps(num_steps)
        result = run()
        self._elapsed = super().done(num_steps)
        self._at_once = super().num_steps(CAPACITY)
        return result


def _variables(trainer: Trainer, part: str) -> list[keras.Variable]:
    if part == "train":
        return list(trainer.variables.values())
    return [*trainer.model.variables, *trainer.test_metrics.variables]
