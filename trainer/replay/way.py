"""How the state before a step comes about: from which checkpoint, by which updates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.checkpoint import Checkpoint
from trainer.checkpoint_folder import CheckpointFolder

PassedOver = Sequence[Mapping[str, Any]]
"""Steps whose update was not made or was taken back: `step`, `action` (skip, rollback), `to`."""


@dataclass(frozen=True)
class Way:
    """How the state after a step comes about.

    Args:
        start: the checkpoint to begin with; None: the run's seed.
        stretches: (first, last) in turn: the updates first + 1 … last, without those skipped.
        skipped: steps whose update was left out.
    """

    start: Checkpoint | None
    stretches: list[tuple[int, int]]
    skipped: frozenset[int]

    @property
    def first_step(self) -> int:
        """Steps done at the beginning of the way."""
        return self.start.step if self.start else 0

    @property
    def last_step(self) -> int:
        """Steps done at its end."""
        return self.stretches[-1][1]

    @property
    def num_steps(self) -> int:
        """How many updates are made on the way."""
        return sum(
            last - first - sum(first < step <= last for step in self.skipped)
            for first, last in self.stretches
        )


def passed_over_by(newest: Checkpoint | None) -> PassedOver:
    """Return the steps that a run passed over, as its newest checkpoint knows them."""
    return newest.facts.get("passed_over", []) if newest else []


def way_to(step: int, folder: CheckpointFolder, newest: Checkpoint | None) -> Way:
    """Find the shortest way to the state after `step` steps.

    A rollback makes the state after its step that of an earlier checkpoint, so the way is looked
    for backwards: from such a step on to where it went back to.

    Args:
        step: steps done, 0 or more.
        folder: the run's checkpoints.
        newest: the last of them that is intact; None: there is none.
    """
    passed_over = passed_over_by(newest)
    skipped = frozenset(e["step"] for e in passed_over if e["action"] == "skip")
    stretches: list[tuple[int, int]] = []
    while True:
        start = newest
        if newest and newest.step > step:
            start = folder.latest(at_most=step)
        first = start.step if start else 0
        taken_back = [
            entry
            for entry in passed_over
            if entry["action"] == "rollback" and first < entry["step"] <= step
        ]
        if not taken_back:
            return Way(start, [(first, step), *stretches], skipped)
        last_one = max(taken_back, key=lambda entry: entry["step"])
        stretches.insert(0, (last_one["step"], step))
        step = last_one["to"]
