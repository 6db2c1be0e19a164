"""Keras' own loop."""

from typing import Any

from benchmarks.problems import Problem, build_loss, build_optimizer


class KerasFit:
    """Calls `model.fit`, which records the mean loss of an epoch.

    Args:
        problem: what is trained on what.
        our_model: take this project's model, to tell the loop's share from the layers'.
        **compile_arguments: for `model.compile`.
    """

    def __init__(self, problem: Problem, our_model: bool = False, **compile_arguments: Any) -> None:
        self._dataset = problem.dataset()
        self._num_examples = problem.num_examples
        self._model = problem.build_our_model() if our_model else problem.build_model()
        self._model.compile(optimizer=build_optimizer(), loss=build_loss(), **compile_arguments)

    def run(self, num_epochs: int) -> int:
        """Train for some epochs; return the number of examples."""
        self._model.fit(self._dataset, epochs=num_epochs, verbose=0)
        return num_epochs * self._num_examples
