"""Which checkpoints of a run are kept, and which one a run goes on from.

`checkpoints/step_000001170.safetensors` holds all that evolves, to go on from;
`checkpoints/best_000000780.safetensors` the weights that scored best, to use.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.background import Background
from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.checkpoint_facts import WEIGHTS, problem

logger = logging.getLogger(__name__)

Ranking = list[tuple[float, int]]
"""The best values of the monitored metric and their steps, the best first."""


class CheckpointFolder:
    """The checkpoints of one run, written in the background.

    Args:
        folder: made when the first checkpoint is written.
        keep: how many of the last checkpoints stay, at least 1.
        keep_best: how many of the best weights stay, at least 1.
        keep_every_steps: checkpoints of steps that are multiples of it stay as well; None: none.

    Raises:
        ValueError: if a count is out of range.
    """

    def __init__(
        self, folder: Path, keep: int = 1, keep_best: int = 1, keep_every_steps: int | None = None
    ) -> None:
        for name, count in (("keep", keep), ("keep_best", keep_best)):
            if count < 1:
                raise ValueError(f"{name}={count}: at least 1 checkpoint is kept")
        self.folder = folder
        self.keep_best = keep_best
        self._keep = keep
        self._keep_every_steps = keep_every_steps
        self._background: Background | None = None

    def save(self, state: Checkpoint, before: Callable[[], object] = lambda: None) -> None:
        """Write a checkpoint in the background, then remove the ones that are not to be kept.

        What goes wrong is raised by the next call: `RunFolderError`.

        Args:
            state: not changed any more by the caller.
            before: called there first: what must be on the disk before a checkpoint refers to it.
        """

        def write() -> None:
            before()
            checkpoint.save(self.folder / f"step_{state.step:09d}.safetensors", state)
            for old in self._states()[self._keep :]:
                every = self._keep_every_steps
                if every is None or _step(old) % every:
                    old.unlink(missing_ok=True)

        self._submit(write)

    def save_best(self, weights: Checkpoint, ranking: Ranking) -> None:
        """Write weights in the background, and remove those that are not in the ranking."""

        def write() -> None:
            checkpoint.save(self.folder / f"best_{weights.step:09d}.safetensors", weights)
            self._remove_unranked(ranking)

        self._submit(write)

    def resume_at(self, step: int, ranking: Ranking) -> None:
        """Set aside what is past a step that a run goes on from, or was cut off while written."""
        for path in self._states():
            if _step(path) > step:
                path.rename(path.with_suffix(".damaged"))
        for path in self.folder.glob("*.partial"):
            path.unlink(missing_ok=True)
        self._remove_unranked(ranking)

    def wait(self) -> None:
        """Wait until everything is written."""
        if self._background:
            self._background.wait()

    def close(self) -> None:
        """Finish writing."""
        if self._background:
            background, self._background = self._background, None
            background.close()

    def best(self) -> Checkpoint | None:
        """Return the best weights, or None where there are none.

        Raises:
            CheckpointError: if they are damaged.
        """
        paths = self._best_ones()
        return _load(min(paths, key=_rank), WEIGHTS) if paths else None

    def intact(self, ranking: Ranking) -> Ranking:
        """Return the ranking without weights whose file is damaged; these are set aside.

        Weights without a file stay: a run that was killed has removed those that it would have
        ranked lower by now, and will again.
        """
        damaged = set()
        for path in self._best_ones():
            try:
                _load(path, WEIGHTS)
            except CheckpointError as error:
                damaged.add(_step(path))
                path.rename(path.with_suffix(".damaged"))
                logger.warning(
                    "%s; it is set aside, and no longer counts as one of the best", error
                )
        return [(value, step) for value, step in ranking if step not in damaged]

    def latest(self, at_most: int | None = None, wanted: Any = None) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None where there is none at all.

        Args:
            at_most: the last step that will do; None: any.
            wanted: what its facts must be, as in `checkpoint_facts`; None: anything.

        Raises:
            CheckpointError: if there are checkpoints and none of them is intact.
        """
        files = [path for path in self._states() if at_most is None or _step(path) <= at_most]
        for path in files:
            try:
                return _load(path, wanted)
            except FileNotFoundError:
                continue  # a live run has removed it just now
            except CheckpointError as error:
                logger.warning("%s; trying the one before", error)
        if files and at_most is None:
            raise CheckpointError(
                f"none of the {len(files)} checkpoint(s) in {self.folder} is intact; "
                "remove that folder to begin anew"
            )
        return None

    @property
    def has_states(self) -> bool:
        """Whether there is a checkpoint to go on from, intact or not."""
        return bool(self._states())

    def _submit(self, write: Callable[[], object]) -> None:
        if self._background is None:
            self._background = Background("checkpoints", queue_length=1)
        self._background.submit(write)

    def _states(self) -> list[Path]:
        return self._numbered("step")

    def _best_ones(self) -> list[Path]:
        return self._numbered("best")

    def _numbered(self, kind: str) -> list[Path]:
        """Return the files of a kind, the last step first; others are not this run's."""
        files = self.folder.glob(f"{kind}_*.safetensors")
        return sorted((p for p in files if re.fullmatch(r"[0-9]+", p.stem[5:])), reverse=True)

    def _remove_unranked(self, ranking: Ranking) -> None:
        ranked = {step for _, step in ranking}
        for path in self._best_ones():
            if _step(path) not in ranked:
                path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    return int(path.stem.partition("_")[2])


def _load(path: Path, wanted: Any) -> Checkpoint:
    found = checkpoint.load(path)
    if found.step != _step(path):
        raise CheckpointError(f"checkpoint {path} is damaged: it holds step {found.step}")
    _check_facts(path, found.facts, wanted)
    return found


def _check_facts(path: Path, facts: Any, wanted: Any) -> None:
    reason = problem(facts, wanted) if wanted else None
    if reason:
        raise CheckpointError(f"checkpoint {path} is damaged: {reason}")


def _rank(path: Path) -> float:
    facts = checkpoint.load_facts(path)
    _check_facts(path, facts, WEIGHTS)
    value = float(facts["value"])
    return -value if facts["mode"] == "max" else value
