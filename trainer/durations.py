"""The duration grammar, the same for training, warm-up, logging, evaluation and checkpoints.

`20ep` epochs, `5000st` steps, `2e6ex` examples, `10%` of the run, `30min` of wall time.
"""

import math
import re
from dataclasses import dataclass

UNITS = {
    "ep": "epochs",
    "st": "steps",
    "ex": "examples",
    "%": "percent of the run",
    "min": "minutes",
}
_PATTERN = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(ep|st|ex|%|min)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Duration:
    """An amount of training, in one of five units.

    Args:
        amount: how many, at least 0; fractions are allowed (`0.5ep`).
        unit: `ep`, `st`, `ex`, `%` or `min`.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: "str | Duration") -> "Duration":
        """Read a duration such as `20ep`.

        Raises:
            ValueError: if the text is not a number followed by a unit, or exceeds 100%.
        """
        if isinstance(text, Duration):
            return text
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            units = ", ".join(f"{unit} ({meaning})" for unit, meaning in UNITS.items())
            raise ValueError(
                f"not a duration: {text!r}; write a number and a unit such as 20ep or 5000st, "
                f"the units are {units}"
            )
        duration = cls(float(match[1]), match[2].lower())
        if duration.unit == "%" and duration.amount > 100:
            raise ValueError(f"not a duration: {text!r}; a share of the run is at most 100%")
        return duration

    @property
    def is_wall_time(self) -> bool:
        """Whether it is measured in time, so that no step count is known in advance."""
        return self.unit == "min"

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"


@dataclass(frozen=True)
class RunLength:
    """How long a run is, so that every other duration of it becomes a number of steps.

    Args:
        steps_per_epoch: full batches in one pass over the training split.
        global_batch_size: examples in a step, over all replicas.
        total_steps: steps of the whole run; None where wall time ends it.
    """

    steps_per_epoch: float
    global_batch_size: int
    total_steps: int | None = None

    @classmethod
    def of(
        cls, duration: str | Duration, steps_per_epoch: int, global_batch_size: int
    ) -> "RunLength":
        """Return the length of a run that trains for `duration` (at least one step).

        Raises:
            ValueError: if the duration is a share of the run, or nothing at all.
        """
        duration = Duration.parse(duration)
        length = cls(steps_per_epoch, global_batch_size)
        if duration.unit == "%":
            raise ValueError(
                f"duration={duration}: a run cannot last a share of itself; "
                "write epochs (20ep), steps (5000st), examples (2e6ex) or minutes (30min)"
            )
        if duration.amount == 0:
            raise ValueError(f"duration={duration}: a run lasts at least one step (1st)")
        if duration.is_wall_time:
            return length
        return cls(steps_per_epoch, global_batch_size, max(1, length.steps(duration)))

    def in_updates(self, accumulate_steps: int) -> "RunLength":
        """Return the same length counted in updates, each of several micro-steps."""
        total = self.total_steps and math.ceil(self.total_steps / accumulate_steps)
        return RunLength(
            self.steps_per_epoch / accumulate_steps,
            self.global_batch_size * accumulate_steps,
            total,
        )

    def steps(self, duration: str | Duration) -> int:
        """Convert to steps, rounded to the nearest (examples: up to the next whole step).

        Raises:
            ValueError: for minutes, and for a share of a run that wall time ends.
        """
        duration = Duration.parse(duration)
        if duration.unit == "st":
            return round(duration.amount)
        if duration.unit == "ep":
            return round(duration.amount * self.steps_per_epoch)
        if duration.unit == "ex":
            return math.ceil(duration.amount / self.global_batch_size)
        if duration.unit == "%" and self.total_steps is not None:
            return round(duration.amount / 100 * self.total_steps)
        raise ValueError(
            f"{duration} is no number of steps here: "
            + (
                "the run is measured in minutes, so its share is unknown in advance"
                if duration.unit == "%"
                else "a schedule needs epochs, steps, examples or a share of the run"
            )
        )
