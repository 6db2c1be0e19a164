"""What must be equal for two runs to be equal: versions, device, data, code, seed."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tensorflow as tf

from trainer.data.dataset import ArrayOnDisk, Arrays, num_examples
from trainer.fingerprint import fingerprint

_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
PACKAGES = ("tapeloop", *_TENSORFLOW, "keras", "numpy", "hydra-core", "tensorboard")


def manifest(
    command: str, seed: int, precision: str, splits: Mapping[str, Arrays]
) -> dict[str, Any]:
    """Return the facts of a run, as plain values."""
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "precision": precision,
        "data": {split: _describe(arrays) for split, arrays in splits.items()},
        "git": _git(),
        "packages": versions_of(PACKAGES),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "cpus": _num_cpus(),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }


def _num_cpus() -> int | None:
    # Those that this process may use, where the system tells; TensorFlow makes as many threads.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def command_line(words: Sequence[str] | None = None) -> str:
    """Return the command that starts this run, to be typed again.

    Args:
        words: after the program's name; None: those of this process.
    """
    return shlex.join(["python", "-m", "trainer", *(sys.argv[1:] if words is None else words)])


def _describe(arrays: Arrays) -> dict[str, Any]:
    return {"num_examples": num_examples(arrays), "fingerprint": fingerprint_of_split(arrays)}


def fingerprint_of_split(arrays: Arrays) -> str:
    """Return what identifies a split's examples; of those on disk, files are not read for it."""
    in_memory = {
        key: array.identity() if isinstance(array, ArrayOnDisk) else array
        for key, array in arrays.items()
    }
    return fingerprint(in_memory)


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git() -> dict[str, str] | None:
    """Return the commit and what differs from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        ).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "diff": git("diff", "HEAD")}
    except (OSError, subprocess.CalledProcessError):
        return None
