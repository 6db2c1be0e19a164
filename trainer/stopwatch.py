"""How the wall time of a run was spent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("tracing", "data", "steps", "evaluation", "writing", "checkpoints")
_REMEDIES = {
    "tracing": "it is paid once, and fades in longer runs",
    "data": "steps wait for data; keep it in memory, or make reading and decoding cheaper",
    "evaluation": "evaluate less often (a longer eval_every), or on fewer examples (data.limit)",
    "writing": "write less often (log_every=10st)",
    "checkpoints": "save less often (a longer checkpoint_every)",
    "other": "see what the callbacks do",
}
_WORTH_A_WARNING = 0.1


class Stopwatch:
    """Adds up seconds by what they were spent on.

    Args:
        before: seconds of each part in the run before it was taken up again.
    """

    def __init__(self, before: dict[str, float] | None = None) -> None:
        self._seconds = dict.fromkeys(PARTS, 0.0) | (before or {})
        self._before = self._seconds.pop("total", 0.0)
        self._started = time.perf_counter()

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time within the context as `part`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - started

    def move(self, seconds: float, origin: str, part: str) -> None:
        """Count some seconds that were measured as `origin` as `part` instead."""
        self._seconds[origin] -= seconds
        self._seconds[part] += seconds

    @property
    def total(self) -> float:
        """Seconds since the run began, without the pauses in which it was not running."""
        return self._before + time.perf_counter() - self._started

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part and in `total`, for another `Stopwatch` to go on from."""
        return {**self._seconds, "total": self.total}

    def shares(self) -> dict[str, float]:
        """Return the share of each part in the total, `other` for the rest."""
        total = max(self.total, 1e-9)
        shares = {part: seconds / total for part, seconds in self._seconds.items()}
        return {**shares, "other": max(0.0, 1.0 - sum(shares.values()))}

    def in_words(self) -> str:
        """Return the shares in one line, the largest first, without those below a thousandth."""
        shares = sorted(self.shares().items(), key=lambda item: -item[1])
        return ", ".join(f"{part} {share:.1%}" for part, share in shares if share >= 0.001)

    def warning(self) -> str | None:
        """Return what to do where more than a tenth of the time is not steps, else None."""
        shares = self.shares()
        if 1.0 - shares.pop("steps") <= _WORTH_A_WARNING:
            return None
        part = max(shares, key=lambda part: shares[part])
        return f"{part} took {shares[part]:.0%} of the time: {_REMEDIES[part]}"
