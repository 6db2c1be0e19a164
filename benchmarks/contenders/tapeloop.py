"""Our own loop, by its public names."""

import tempfile

import tensorflow as tf

from benchmarks.problems import LEARNING_RATE, MOMENTUM, Problem
from trainer import Data, Trainer
from trainer.losses import CrossEntropy
from trainer.optimizers import SGD


class TapeLoop:
    """Calls `Trainer.fit`, which records loss, learning rate and gradient norm of every step.

    They go to event files and `metrics.jsonl`. Every call of `run` loads the checkpoint that the
    one before it has saved; nothing else is saved or evaluated, as by the peers.

    Args:
        problem: what is trained on what.
        jit: as for the Trainer.
    """

    def __init__(self, problem: Problem, jit: bool | str = False) -> None:
        self._run_dir = tempfile.TemporaryDirectory()
        self._num_epochs = 0
        self._num_examples = problem.num_examples
        self._trainer = TracedTrainer(
            model=problem.build_our_model(),
            loss=CrossEntropy(),
            optimizer=SGD(LEARNING_RATE, momentum=MOMENTUM),
            data=Data(train=(problem.inputs, problem.labels), batch_size=problem.batch_size),
            run_dir=self._run_dir.name,
            eval_every=None,
            checkpoint_every="1000min",
            jit=jit,
        )

    def run(self, num_epochs: int) -> int:
        """Train for some epochs; return the number of examples."""
        self._num_epochs += num_epochs
        self._trainer.fit(f"{self._num_epochs}ep")
        return num_epochs * self._num_examples

    @property
    def num_traces(self) -> int:
        """How often the training step was traced."""
        return self._trainer.num_traces["train"]


class TracedTrainer(Trainer):
    """A Trainer that counts how often its steps are traced: this Python runs only then."""

    num_traces: dict[str, int]

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Train as ever."""
        self._count("train")
        return super().train_step(batch)

    def test_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Evaluate as ever."""
        self._count("test")
        return super().test_step(batch)

    def _count(self, step: str) -> None:
        counts = self.__dict__.setdefault("num_traces", {"train": 0, "test": 0})
        counts[step] += 1
