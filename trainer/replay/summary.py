"""The numbers by which an array is described."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_NUM_BINS = 60


@dataclass(frozen=True)
class Summary:
    """What is in an array; NaN where nothing in it is finite.

    Args:
        shape: of the array.
        mean: of its finite values, as all that follows.
        std: their standard deviation.
        minimum: the smallest.
        maximum: the largest.
        norm: their Euclidean norm.
        zeros: the share of values that are 0.
        num_non_finite: how many are NaN or infinite.
        counts: a histogram's int64 [bins].
        edges: its float64 [bins + 1].
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    minimum: float
    maximum: float
    norm: float
    zeros: float
    num_non_finite: int
    counts: np.ndarray
    edges: np.ndarray

    def numbers(self) -> dict[str, Any]:
        """Return it as plain values, without the histogram."""
        return {
            "shape": list(self.shape),
            "mean": self.mean,
            "std": self.std,
            "min": self.minimum,
            "max": self.maximum,
            "norm": self.norm,
            "zeros": self.zeros,
            "non_finite": self.num_non_finite,
        }

    @property
    def range_in_words(self) -> str:
        """Its shape and range, in a few words."""
        words = f"{list(self.shape)} from {self.minimum:.4g} to {self.maximum:.4g}"
        if math.isnan(self.minimum):
            words = f"{list(self.shape)}"
        if self.num_non_finite:
            words += f", {self.num_non_finite:,} not finite"
        return words


def summarise(array: Any) -> Summary:
    """Describe an array of numbers of any dtype, or what NumPy makes one of."""
    array = np.asarray(array)
    # bfloat16 and whole numbers too: float64 holds all of them.
    values = array.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    some = finite if finite.size else np.array([np.nan])
    # A histogram of values near the end of float64's range would overflow.
    counts, edges = np.histogram(finite.clip(-1e100, 1e100), _edges(finite))
    with np.errstate(over="ignore"):
        std, norm = float(some.std()), float(np.linalg.norm(finite))
    return Summary(
        shape=array.shape,
        mean=float(some.mean()),
        std=std,
        minimum=float(some.min()),
        maximum=float(some.max()),
        norm=norm,
        zeros=float(np.mean(finite == 0)) if finite.size else 0.0,
        num_non_finite=int(values.size - finite.size),
        counts=counts,
        edges=edges,
    )


def _edges(finite: np.ndarray) -> np.ndarray:
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    low, high = max(low, -1e100), min(high, 1e100)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: a bar in the middle
        centre, width = low, abs(low) or 1.0
        low, high = centre - width, centre + width
    return np.linspace(low, high, _NUM_BINS + 1)
