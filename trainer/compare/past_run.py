"""What a run folder tells of its run, read without TensorFlow and without the weights."""

import fcntl
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import safetensors
import yaml  # type: ignore[import-untyped]

from trainer import run_lock
from trainer.checkpoint import CheckpointError, load_facts
from trainer.checkpoint_facts import WEIGHTS, problem
from trainer.compare.settings_that_vary import Settings, flat
from trainer.disk import RunFolderError
from trainer.run_folder import check_run_folder
from trainer.saved_config import check_saved_text

FINISHED = "finished"
_TAIL = 1 << 16
_LARGEST = 2**63
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (INFO|WARNING|ERROR) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class PastRun:
    """A run as its folder tells it.

    Args:
        folder: of the run.
        settings: without the seed.
        seed: as in the configuration.
        state: `finished`, `running`, `stopped`, `killed`, `failed`, `cut off` or `not begun`.
        reason: the last error, of a run that failed.
        monitor: the metric that chose the best weights.
        mode: `min` or `max`, what of it is best; None if there are no best weights.
        best_step: of the best weights.
        best: metrics of the evaluation that found the best weights, such as `val/accuracy`.
        final: metrics of the last evaluation.
        step: of the last line in `metrics.jsonl`; 0 if there is none.
        epoch: of that line.
        seconds: of training and evaluating, over all attempts.
        num_weights: numbers in the best weights, batch statistics among them.
        manifest: as it is in the folder; empty if it cannot be read.
        evaluated: metrics that `evaluate` found later, such as `test/accuracy`.
        elsewhere: splits of which `evaluate` scored other data than the run's, not in `evaluated`.
    """

    folder: Path
    settings: Settings
    seed: str
    state: str
    reason: str = ""
    monitor: str = ""
    mode: str | None = None
    best_step: int | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    epoch: float = 0.0
    seconds: float | None = None
    num_weights: int | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    evaluated: Mapping[str, float] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        """All metrics of the best weights; what training logged wins over what is told again."""
        return {**self.evaluated, **(self.best or self.final)}

    def data_fingerprint(self, split: str) -> str | None:
        """Return what identifies the examples of a split, or None if the manifest has none."""
        return _fingerprint(self.manifest, split)


def read_run(folder: Path) -> PastRun:
    """Read a run folder.

    Raises:
        ValueError: in one line, if it is damaged.
        RunFolderError: if it holds links or folders where a run has files, or cannot be read.
    """
    check_run_folder(folder)
    try:
        config = read_config(folder)
        best_step, best, num_weights = _best(folder / "checkpoints")
        state = _newest_state(folder / "checkpoints")
        last, evaluation = _rows(folder / "metrics.jsonl")
    except RunFolderError:
        raise
    except OSError as error:
        raise RunFolderError(f"{error.filename}: cannot be read ({error.strerror})") from error
    name, reason = _state(folder, state, has_begun=bool(last or state))
    manifest = _mapping(folder / "manifest.json")
    evaluated, elsewhere = _evaluated(folder / "report" / "metrics.json", best_step, manifest)
    return PastRun(
        folder=folder,
        settings=flat(config),
        seed=str(config.get("seed")),
        state=name,
        reason=reason,
        monitor=str(config.get("monitor")),
        mode=best.get("mode"),
        best_step=best_step,
        best=best.get("values", {}),
        final=_numbers(evaluation, ("train/", "val/")),
        step=int(last.get("step", 0)),
        epoch=float(last.get("epoch", 0)),
        seconds=_numbers(evaluation, ("time/",)).get("time/total"),
        num_weights=num_weights,
        manifest=manifest,
        evaluated=evaluated,
        elsewhere=elsewhere,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's configuration; a ValueError says in one line why it cannot be read."""
    path = folder / "config.yaml"
    if not path.exists():
        raise ValueError("it has no config.yaml")
    content = path.read_bytes()
    try:
        check_saved_text(content)
        config = yaml.safe_load(content)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"config.yaml cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise ValueError("config.yaml does not hold the settings of a run")
    return config


def _mapping(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; empty if there is none, or it cannot be read."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _fingerprint(manifest: Mapping[str, Any], split: str) -> str | None:
    found: Any = manifest
    for key in ("data", split, "fingerprint"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _evaluated(
    path: Path, best_step: int | None, manifest: Mapping[str, Any]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the metrics that `evaluate` kept by split, if they are of the best weights.

    And the splits of which they are left out, their data being other than the manifest's.
    """
    metrics: dict[str, float] = {}
    elsewhere = []
    for split, facts in _mapping(path).items():
        if not isinstance(facts, dict) or facts.get("step") != best_step:
            continue
        if _fingerprint(manifest, split) not in (None, facts.get("fingerprint")):
            elsewhere.append(split)
            continue
        found = facts.get("metrics")
        numbers = _numbers(found if isinstance(found, dict) else {})
        metrics |= {f"{split}/{name}": value for name, value in numbers.items()}
    return metrics, tuple(elsewhere)


def _best(folder: Path) -> tuple[int | None, dict[str, Any], int | None]:
    """Return step, facts and size of the best weights, of which the header alone is read."""
    found = []
    for path in sorted(folder.glob("best_*.safetensors")):
        facts = _facts(path)
        if facts is None:
            continue
        reason = problem(facts, WEIGHTS)
        if reason or not path.stem[5:].isdecimal():
            raise CheckpointError(f"checkpoint {path} is damaged: {reason or 'its name'}")
        found.append((int(path.stem[5:]), facts, path))
    if not found:
        return None, {}, None
    step, facts, path = min(found, key=lambda f: _worse(f[1]))
    return step, facts, _num_weights(path)


def _worse(facts: Mapping[str, Any]) -> float:
    value = float(facts["value"])
    if math.isnan(value):
        return math.inf
    return -value if facts["mode"] == "max" else value


def _num_weights(path: Path) -> int:
    with safetensors.safe_open(path, framework="numpy") as file:
        slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
        # Whole numbers are counters and the states of random generators.
        return sum(math.prod(s.get_shape()) for s in slices if "F" in s.get_dtype())


def _newest_state(folder: Path) -> dict[str, Any]:
    for path in sorted(folder.glob("step_*.safetensors"), reverse=True):
        facts = _facts(path)
        if facts is not None:
            return facts
    return {}


def _facts(path: Path) -> dict[str, Any] | None:
    """Return a checkpoint's facts; None for one that a live run has removed just now."""
    try:
        return load_facts(path)
    except CheckpointError:
        if path.exists():
            raise
        return None


def _rows(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last row of `metrics.jsonl`, and the last one of an evaluation."""
    last, evaluation = b"", b""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"}\n"):
                    last = line
                    evaluation = line if b'"time/total"' in line else evaluation
    return _row(last), _row(evaluation)


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    heads = [row.get(key) for key in ("step", "epoch")] if isinstance(row, dict) else [None]
    is_row = all(isinstance(head, int | float) and math.isfinite(head) for head in heads)
    return row if is_row else {}


def _numbers(row: Mapping[str, Any], prefixes: tuple[str, ...] = ("",)) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in row.items()
        if name.startswith(prefixes) and _is_number(value)
    }


def _is_number(value: Any) -> bool:
    # A forged whole number may be larger than any float.
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST)


def _state(folder: Path, facts: Mapping[str, Any], has_begun: bool) -> tuple[str, str]:
    """Return a word for how far a run has got, and what stopped it."""
    if is_held(folder):
        return "running", ""
    if facts.get("has_ended") is True:
        return FINISHED, ""
    level, message = _last_record(folder / "train.log")
    if level == "ERROR":
        return "failed", message
    if _size(folder / run_lock.NAME):
        return "killed", ""  # a process that ends by itself empties it
    if not has_begun:
        return "not begun", ""
    return ("stopped" if message.startswith("Stopped by ") else "cut off"), ""


def is_held(folder: Path) -> bool:
    """Return whether a process trains in a run folder, whoever started it."""
    lock = folder / run_lock.NAME
    # Only where a process has written its name: to ask is to hold it for a moment.
    if not _size(lock):
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _last_record(path: Path) -> tuple[str, str]:
    """Return level and first line of the last record in a log."""
    if not path.exists():
        return "", ""
    with path.open("rb") as file:
        file.seek(max(0, _size(path) - _TAIL))
        records = _RECORD.findall(file.read().decode(errors="replace"))
    return records[-1] if records else ("", "")
