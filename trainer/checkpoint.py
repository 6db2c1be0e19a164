"""How a state is kept: one safetensors file a checkpoint, whole or absent.

A file is written beside, synced and renamed; it carries a checksum that loading verifies. The
format holds arrays and text alone, so that loading runs no code.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from trainer.disk import write_whole
from trainer.fingerprint import fingerprint

_MAX_STEP = 2**48
# AttributeError: a dtype that NumPy does not have. OSError: a folder, or a disk that cannot read.
_OF_DAMAGE = (
    *(safetensors.SafetensorError, KeyError, TypeError, ValueError),
    *(AttributeError, OSError, RecursionError),
)


class CheckpointError(ValueError):
    """A checkpoint is damaged, or of another run; the message is one line for the user."""


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


def load(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged, or no checkpoint.
    """
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    with _blaming_damage(path):
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step, facts = _step(header["step"]), _mapping(header["facts"])
        intact = header["sha256"] == _checksum(step, arrays, header["facts"])
    if not intact:
        raise CheckpointError(f"checkpoint {path} is damaged: its checksum does not match")
    return Checkpoint(step, arrays, facts, path)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, or leave everything as it was.

    Raises:
        RunFolderError: if the disk is full or does not let it be written.
    """
    facts = json.dumps(checkpoint.facts)
    header = {
        "step": str(checkpoint.step),
        "facts": facts,
        "sha256": _checksum(checkpoint.step, checkpoint.arrays, facts),
    }
    # safetensors writes an array of another memory order as if it were of this one.
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    write_whole(path, safetensors.numpy.save(arrays, metadata=header))


def load_facts(path: Path) -> dict[str, Any]:
    """Read a checkpoint's facts alone, unverified.

    Raises:
        CheckpointError: if it is damaged, or no checkpoint.
    """
    with _blaming_damage(path), safetensors.safe_open(path, framework="numpy") as file:
        return _mapping((file.metadata() or {})["facts"])


@contextmanager
def _blaming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except _OF_DAMAGE as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"checkpoint {path} is damaged: {reason}") from error


def _step(text: str) -> int:
    step = int(text)
    if not 0 <= step < _MAX_STEP:
        raise ValueError(f"step {step} is not a number of updates")
    return step


def _mapping(text: str) -> dict[str, Any]:
    facts = json.loads(text)
    if not isinstance(facts, dict):
        raise ValueError("its facts are no mapping")
    return facts


def _checksum(step: int, arrays: Mapping[str, np.ndarray], facts: str) -> str:
    return hashlib.sha256(f"{step}\n{facts}\n{fingerprint(arrays)}".encode()).hexdigest()
