"""What a run wrote about its steps: the rows of `metrics.jsonl`."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson


class LoggedSteps:
    """The rows of `metrics.jsonl` by step; lines that cannot be read are passed over.

    Args:
        path: the file; without it there are no rows.
    """

    def __init__(self, path: Path) -> None:
        self._rows: dict[int, dict[str, Any]] = {}
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                # A step's own row comes before the one of an evaluation at that step.
                self._rows.setdefault(row["step"], row)

    @property
    def last_step(self) -> int:
        """The last step that there is a row of; 0 where there are none."""
        return max(self._rows, default=0)

    def scalars(self, step: int, names: Collection[str]) -> dict[str, float] | None:
        """Return what a step returned, null read as NaN; None if it was not written.

        Args:
            step: counted from 1.
            names: of the scalars that a step returns.
        """
        row = self._rows.get(step, {})
        if any(f"train/{name}" not in row for name in names):
            return None
        return {name: _as_float(row[f"train/{name}"]) for name in names}


def differing(logged: Mapping[str, float], replayed: Mapping[str, float]) -> list[str]:
    """Return the names of the scalars that are not equal as float32; not finite is one value."""
    pairs = {
        name: (np.float32(value), np.float32(replayed[name])) for name, value in logged.items()
    }
    return [
        name
        for name, (there, here) in pairs.items()
        if there != here and (np.isfinite(there) or np.isfinite(here))
    ]


def _as_float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
