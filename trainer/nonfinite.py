"""What is done about a step whose loss or gradient is not a number, or infinite."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

ACTIONS = ("stop", "skip", "rollback", "ignore")
MAX_IN_A_ROW = 10
"""Bad steps one after another that are passed over; more, and something is wrong for good."""


class NonFiniteError(RuntimeError):
    """A run met a value that is not finite; the message is for the user."""


def first_bad_step(scalars: Mapping[str, np.ndarray], exempt: Collection[str]) -> int | None:
    """Return the position of the first step with a scalar that is not finite, if there is one.

    Args:
        scalars: name to float32 [num_steps].
        exempt: names that may be infinite, such as the gradient norm with loss scaling.
    """
    checked = [column for name, column in scalars.items() if name not in exempt]
    is_bad = ~np.isfinite(np.stack(checked)).all(axis=0) if checked else np.zeros(0, bool)
    return int(is_bad.argmax()) if is_bad.any() else None


def describe(step: int, values: Mapping[str, float], broken: Sequence[str]) -> str:
    """Return what is wrong with a step, in one line.

    Args:
        step: its number, from 1.
        values: the scalars that it returned.
        broken: the model's variables that were not finite before it.
    """
    bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if broken:
        before = f"{len(broken)} of the model's variables were not finite before it ({broken[0]})"
    else:
        before = "all weights were finite before it"
    return f"step {step:,}: {', '.join(bad)}; {before}"


def all_finite(array: np.ndarray) -> bool:
    """Return whether an array of any dtype holds nothing that is not a finite number."""
    # bfloat16 is a void type to NumPy's own isfinite in some builds: float32 holds all of it.
    return array.dtype.kind in "iub" or bool(np.isfinite(array.astype(np.float32)).all())
