"""Whether two run folders hold the same run, to the bit: state, best weights, rows, curves."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.util import tensor_util

from trainer import checkpoint
from trainer.checkpoint import Checkpoint

STATE_ARRAYS = "final state: arrays"

_NOT_COMPARED = ("seconds", "positions")
"""Facts of a checkpoint that wall time changes: the clocks, and the lengths of files with them."""
_TIMES = re.compile(rb',"time/[^"]*":[^,}]*')
_SPLITS = ("train", "val")

Items = Mapping[str, Any]
"""What a folder holds of one kind, by name and in order."""


@dataclass(frozen=True)
class Comparison:
    """One kind of content in two run folders.

    Args:
        what: what was compared.
        num_items: arrays, facts, rows or points in the first folder.
        num_values: numbers in them.
        num_different: items that differ, or are in one folder alone.
        first_difference: which item, and how it differs; None where all are equal.
    """

    what: str
    num_items: int
    num_values: int
    num_different: int = 0
    first_difference: str | None = None


def compare(whole: Path, other: Path) -> list[Comparison]:
    """Compare two finished runs, bit for bit.

    Args:
        whole: the run folder that is right.
        other: the run folder that may differ.

    Raises:
        CheckpointError: if a checkpoint is damaged.
    """

    def both(read: Callable[[Path], Items]) -> tuple[Items, Items]:
        return read(whole), read(other)

    return [
        _compared(STATE_ARRAYS, both(_state_arrays), _array_difference, np.size),
        _compared("final state: facts", both(_state_facts)),
        _compared("best weights: arrays", both(_best_arrays), _array_difference, np.size),
        _compared("best weights: facts", both(_best_facts)),
        _compared("metrics.jsonl: rows", both(_rows), _row_difference, _num_values_of_row),
        *(
            _compared(
                f"TensorBoard {split}/: points",
                both(lambda folder, split=split: _points(folder / split)),  # type: ignore[misc]
                _point_difference,
            )
            for split in _SPLITS
        ),
    ]


def _compared(
    what: str,
    items: tuple[Items, Items],
    difference: Callable[[Any, Any], str | None] = lambda a, b: None if a == b else f"{a} and {b}",
    num_values: Callable[[Any], int] = lambda item: 1,
) -> Comparison:
    """Compare items by name; what one folder alone holds is a difference too."""
    whole, other = items
    found = []
    for name in {**whole, **other}:
        if name not in other:
            found.append(f"{name}: missing in the second folder")
        elif name not in whole:
            found.append(f"{name}: in the second folder alone")
        elif how := difference(whole[name], other[name]):
            found.append(f"{name}: {how}")
    if not found and list(whole) != list(other):
        moved = next(a for a, b in zip(whole, other, strict=True) if a != b)
        found.append(f"{moved}: in another place in the second folder")
    total = sum(int(num_values(item)) for item in whole.values())
    return Comparison(what, len(whole), total, len(found), found[0] if found else None)


# ---- checkpoints


def _final_state(folder: Path) -> Checkpoint:
    return checkpoint.load(max((folder / "checkpoints").glob("step_*.safetensors")))


def _best_weights(folder: Path) -> dict[str, Checkpoint]:
    paths = sorted((folder / "checkpoints").glob("best_*.safetensors"))
    return {path.stem: checkpoint.load(path) for path in paths}


def _state_arrays(folder: Path) -> Items:
    return _final_state(folder).arrays


def _state_facts(folder: Path) -> Items:
    return _facts(_final_state(folder))


def _best_arrays(folder: Path) -> Items:
    best = _best_weights(folder)
    return {f"{file}: {name}": a for file, w in best.items() for name, a in w.arrays.items()}


def _best_facts(folder: Path) -> Items:
    best = _best_weights(folder)
    return {f"{file}: {name}": f for file, w in best.items() for name, f in _facts(w).items()}


def _facts(state: Checkpoint) -> dict[str, str]:
    facts = {"step": state.step, **state.facts}
    return dict(_leaves({k: v for k, v in facts.items() if k not in _NOT_COMPARED}))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values in nested ones by name, as JSON, which tells all floats apart."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for k, item in enumerate(value):
            yield from _leaves(item, f"{name}[{k}]")
    else:
        yield name, json.dumps(value)


def _array_difference(a: np.ndarray, b: np.ndarray) -> str | None:
    kinds = [f"{array.dtype}{list(array.shape)}" for array in (a, b)]
    if kinds[0] != kinds[1]:
        return f"{kinds[0]} and {kinds[1]}"
    if a.tobytes() == b.tobytes():
        return None
    # As bytes, since a NaN is not equal to itself, and -0.0 is equal to 0.0.
    a_bytes, b_bytes = (np.frombuffer(x.tobytes(), np.uint8).reshape(x.size, -1) for x in (a, b))
    places = np.flatnonzero((a_bytes != b_bytes).any(axis=1))
    first = tuple(int(k) for k in np.unravel_index(places[0], a.shape))
    return (
        f"{len(places):,} of {a.size:,} values, first at {list(first)}: "
        f"{a[first]!s} and {b[first]!s} (bytes {a[first].tobytes().hex()} and "
        f"{b[first].tobytes().hex()})"
    )


# ---- curves


def _rows(folder: Path) -> Items:
    """Return the lines of `metrics.jsonl` without wall-clock figures, by name and in order."""
    rows: dict[str, bytes] = {}
    lines = (folder / "metrics.jsonl").read_bytes().splitlines()
    for k, line in enumerate(lines, start=1):
        try:
            row = orjson.loads(line)
            kind = "evaluation" if is_evaluation(row) else "training"
            name = f"{kind} row of step {row['step']}"
        except (orjson.JSONDecodeError, TypeError, KeyError):
            name = f"line {k}"
        _add(rows, name, _TIMES.sub(b"", line))
    return rows


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Return whether a row of `metrics.jsonl` is that of an evaluation."""
    return any(key.startswith("time/") for key in row)


def _row_difference(a: bytes, b: bytes) -> str | None:
    if a == b:
        return None
    try:
        rows = [orjson.loads(line) for line in (a, b)]
        keys = [k for k in {**rows[0], **rows[1]} if rows[0].get(k) != rows[1].get(k)]
    except (orjson.JSONDecodeError, TypeError):
        keys = []
    if not keys:
        return f"{a.decode(errors='replace')} and {b.decode(errors='replace')}"
    values = " and ".join(str(row.get(keys[0], "absent")) for row in rows)
    return f"{keys[0]}: {values}" + (f" ({len(keys)} keys differ)" if len(keys) > 1 else "")


def _num_values_of_row(line: bytes) -> int:
    return line.count(b'":')


def _points(folder: Path) -> Items:
    """Return what is in the event files, by tag and step, without wall-clock figures."""
    points: dict[str, Any] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if not value.tag.startswith("time/"):
                    _add(points, f"{value.tag} at step {event.step}", value.tensor)
    return points


def _point_difference(a: Any, b: Any) -> str | None:
    if a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True):
        return None
    arrays = [tensor_util.make_ndarray(tensor) for tensor in (a, b)]
    if all(array.size == 1 and array.dtype.kind == "f" for array in arrays):
        return " and ".join(str(array.item()) for array in arrays)
    return "another text or picture"


def _add(items: dict[str, Any], name: str, item: Any) -> None:
    # A name that is there already is a duplicate, and stays one.
    again, number = name, 2
    while again in items:
        again, number = f"{name} (number {number})", number + 1
    items[again] = item
