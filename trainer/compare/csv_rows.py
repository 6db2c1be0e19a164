"""A comparison as CSV, one row a run."""

import csv
import io
import math

from trainer.compare.comparison import Comparison


def as_csv(comparison: Comparison) -> str:
    """Return one row a run: its place, settings and metrics, in full precision."""
    ranks = {
        run.folder: rank
        for rank, group in enumerate(comparison.groups, start=1)
        for run in group.runs
    }
    runs = sorted(comparison.runs, key=lambda run: ranks.get(run.folder, math.inf))
    kinds = [
        (kind, list(dict.fromkeys(name for run in runs for name in getattr(run, kind))))
        for kind in ("best", "final", "evaluated")
    ]
    own = ["rank", "run", "state", "reason", "seed"]
    measured = ["best_step", "steps", "epochs", "seconds", "weights"]
    header = [*own, *comparison.varied, *measured]
    header += [f"{kind} {name}" for kind, names in kinds for name in names]
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(header)
    for run in runs:
        row: list[object] = [ranks.get(run.folder), run.folder, run.state, run.reason, run.seed]
        row += [run.settings.get(name) for name in comparison.varied]
        row += [run.best_step, run.step, run.epoch, run.seconds, run.num_weights]
        row += [getattr(run, kind).get(name) for kind, names in kinds for name in names]
        writer.writerow(["" if cell is None else cell for cell in row])
    return content.getvalue()
