"""What a verification found: whether it is a proof, and how it is shown and kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from trainer.verify.comparison import Comparison
from trainer.verify.kills import CHECKPOINT, EVALUATION, START_UP, TRAINING, Course, Kill

_HIT = {
    START_UP: "in start-up (building, restoring, tracing)",
    TRAINING: "between steps of training",
    EVALUATION: "in an evaluation",
    CHECKPOINT: "while a checkpoint was written",
}


@dataclass(frozen=True)
class Verdict:
    """The findings of one verification.

    Args:
        num_kills: asked for.
        course: of the run without a kill.
        kills: that took place.
        last_resume: the step at which the process that was not killed went on.
        comparisons: of the killed run with the whole one.
        has_control: whether a control was asked for.
        control: of the final state of the run that went on wrongly; None if there is none.
    """

    num_kills: int
    course: Course
    kills: Sequence[Kill]
    last_resume: int | None
    comparisons: Sequence[Comparison]
    has_control: bool = False
    control: Comparison | None = None

    @property
    def resumes(self) -> list[int]:
        """The steps of the checkpoints that processes went on from."""
        steps = [*(kill.resumed_at for kill in self.kills), self.last_resume]
        return [step for step in steps if step is not None]

    @property
    def num_mid_epoch(self) -> int:
        """How many of the resumes were within an epoch."""
        return sum(step % self.course.steps_per_epoch > 0 for step in self.resumes)

    @property
    def failures(self) -> list[str]:
        """Why it is no proof, a line each; empty if it is one."""
        lines = [
            f"{found.what}: {found.num_different:,} differ, first {found.first_difference}"
            for found in self.comparisons
            if found.first_difference
        ]
        if len(self.kills) < self.num_kills:
            lines.append(
                f"the run was done after {len(self.kills)} of {self.num_kills} kills: make it "
                "longer with duration=, or ask for fewer with kills="
            )
        if not self.resumes:
            lines.append(
                "no process went on from a checkpoint, so nothing is proven: ask for more kills, "
                "or for more checkpoints with checkpoint_every="
            )
        if self.has_control and self.control is None:
            lines.append(
                "no control: the run was done before it could be killed at a checkpoint; make it "
                "longer with duration="
            )
        if self.control and not self.control.num_different:
            lines.append(
                "the check itself is blind: a run that went on with other random streams ended in "
                "the same state"
            )
        return lines

    def facts(self) -> dict[str, Any]:
        """Return the figures, as plain values."""
        return {
            "is_equal": not any(found.num_different for found in self.comparisons),
            "failures": self.failures,
            "num_kills_asked_for": self.num_kills,
            "num_kills": len(self.kills),
            "hits": dict(Counter(kill.hit for kill in self.kills)),
            "num_resumes": len(self.resumes),
            "num_resumes_mid_epoch": self.num_mid_epoch,
            "num_steps": self.course.num_steps,
            "steps_per_epoch": self.course.steps_per_epoch,
            "comparisons": [asdict(found) for found in self.comparisons],
            "control": self.control and asdict(self.control),
            "kills": [asdict(kill) for kill in self.kills],
        }

    def table(self) -> Table:
        """Return what was compared, for the terminal."""
        table = Table("compared", "how many", "values", "result")
        for column in table.columns[1:3]:
            column.justify = "right"
        for found in self.comparisons:
            result = f"{found.num_different:,} differ" if found.num_different else "equal"
            table.add_row(found.what, f"{found.num_items:,}", f"{found.num_values:,}", result)
        return table

    def lines(self) -> list[str]:
        """Return where the kills hit and what the control found."""
        lines = [f"kills     {len(self.kills)}"]
        for phase, words in _HIT.items():
            steps = [kill.step for kill in self.kills if kill.hit == phase]
            at = f": steps {', '.join(map(str, steps))}" if steps and phase != START_UP else ""
            lines.append(f"          {len(steps)} {words}{at}")
        lines.append(f"resumes   {len(self.resumes)}, {self.num_mid_epoch} of them within an epoch")
        if self.control:
            lines.append(
                f"control   {self.control.num_different:,} of {self.control.num_items:,} arrays "
                "differ after a resume with other random streams, as they must"
            )
        return lines
