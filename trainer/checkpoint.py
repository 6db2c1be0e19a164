"""How the state is kept: one safetensors file a checkpoint, whole or absent.

`checkpoints/step_000001170.safetensors` are the last ones, `checkpoints/best.safetensors` is the
best. A file is written beside, synced and renamed; it carries a checksum that loading verifies. The
format holds arrays and text alone, so that loading runs no code.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from trainer.fingerprint import fingerprint

logger = logging.getLogger(__name__)

BEST = "best.safetensors"
_PATTERN = "step_*.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A state at a step.

    Args:
        step: updates done.
        arrays: variable name to value.
        facts: what else evolves, as plain JSON values.
        path: the file it was read from; None for one not yet written.
    """

    step: int
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    path: Path | None = None


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        folder: made when the first checkpoint is written.
        keep: how many of the last checkpoints stay, at least 1.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep}: at least 1 checkpoint is kept")
        self.folder = folder
        self._keep = keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then remove the ones past `keep`."""
        path = self.folder / f"step_{checkpoint.step:09d}.safetensors"
        _write(path, checkpoint)
        for old in self._files()[self._keep :]:
            old.unlink()
        return path

    def save_best(self, checkpoint: Checkpoint) -> Path:
        """Replace the best checkpoint."""
        _write(self.folder / BEST, checkpoint)
        return self.folder / BEST

    def best(self) -> Checkpoint | None:
        """Return the best checkpoint, or None where there is none.

        Raises:
            ValueError: if it is damaged.
        """
        path = self.folder / BEST
        return load(path) if path.exists() else None

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None where there is none at all.

        Raises:
            ValueError: if there are checkpoints and none of them is intact.
        """
        files = self._files()
        for path in files:
            try:
                return load(path)
            except ValueError as error:
                logger.warning("%s; trying the one before", error)
        if files:
            raise ValueError(
                f"none of the {len(files)} checkpoint(s) in {self.folder} is intact; "
                "remove that folder to begin anew"
            )
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(_PATTERN), reverse=True)


def load(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or no checkpoint.
    """
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step, facts = int(header["step"]), json.loads(header["facts"])
        intact = header["sha256"] == _checksum(step, arrays, header["facts"])
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"checkpoint {path} is damaged: {error}") from error
    if not intact:
        raise ValueError(f"checkpoint {path} is damaged: its checksum does not match")
    return Checkpoint(step, arrays, facts, path)


def _write(path: Path, checkpoint: Checkpoint) -> None:
    facts = json.dumps(checkpoint.facts)
    header = {
        "step": str(checkpoint.step),
        "facts": facts,
        "sha256": _checksum(checkpoint.step, checkpoint.arrays, facts),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    with beside.open("wb") as file:
        file.write(safetensors.numpy.save(dict(checkpoint.arrays), metadata=header))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checksum(step: int, arrays: Mapping[str, np.ndarray], facts: str) -> str:
    return hashlib.sha256(f"{step}\n{facts}\n{fingerprint(arrays)}".encode()).hexdigest()
