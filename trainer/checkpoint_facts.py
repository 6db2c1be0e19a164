"""What the facts in a checkpoint must be, checked before a run believes them.

A right checksum says that a file is as it was written, not who wrote it.
"""

from collections.abc import Mapping
from typing import Any

_POSITION = {"length": int, "checksum": int}
STATE = {
    "monitor": str,
    "ranking": [(float, int)],
    "val_values": {str: float},
    "is_due": bool,
    "has_ended": bool,
    "passed_over": [{"step": int, "action": str, "to": int}],
    "seconds": {str: float},
    "stop_training": bool,
    "positions": {"metrics": _POSITION, "train": _POSITION, "val": _POSITION},
    "callbacks": {str: {str: object}},
}
"""Of a whole state. `[x]`: a list; `(x, y)`: a list of these; `{str: x}`: names to x; else keys
that must be there, beside which there may be others."""
WEIGHTS = {"values": {str: float}, "value": float, "mode": str}
"""Of the best weights."""

_WORDS = {bool: "true or false", int: "a whole number, at least 0", float: "a number", str: "text"}
_LARGEST = 2**63


def problem(facts: Any, wanted: Any, where: str = "its facts") -> str | None:
    """Return what is wrong with some facts, or None.

    Args:
        facts: as JSON gives them.
        wanted: `STATE`, `WEIGHTS` or a part of them.
        where: what `facts` is, for the message.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(facts, dict):
            return f"{where} is no mapping"
        if str in wanted:
            entries = [(key, value, wanted[str]) for key, value in facts.items()]
        else:
            for key in wanted:
                if key not in facts:
                    return f"no {key!r} in {where}"
            entries = [(key, facts[key], inner) for key, inner in wanted.items()]
        return _first(problem(value, inner, f"{where}.{key}") for key, value, inner in entries)
    if isinstance(wanted, list | tuple):
        if not isinstance(facts, list) or (isinstance(wanted, tuple) and len(facts) != len(wanted)):
            return f"{where} is no list" if isinstance(wanted, list) else f"{where} is no pair"
        each = wanted * len(facts) if isinstance(wanted, list) else wanted
        found = zip(facts, each, strict=True)
        return _first(problem(v, w, f"{where}[{k}]") for k, (v, w) in enumerate(found))
    return None if _is(facts, wanted) else f"{where} is not {_WORDS[wanted]}"


def _first(problems: Any) -> str | None:
    return next((found for found in problems if found), None)


def _is(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and 0 <= value < _LARGEST
    if kind is float:
        return type(value) is float or (type(value) is int and abs(value) < _LARGEST)
    return isinstance(value, kind)
