"""A comparison in words: what stands above and below its table."""

from trainer.compare.comparison import Comparison
from trainer.compare.figures import number
from trainer.compare.groups import Group
from trainer.compare.intervals import LEVEL
from trainer.compare.past_run import PastRun
from trainer.compare.settings_that_vary import short_names, short_value


def heading(comparison: Comparison) -> str:
    """Return what stands above the table: what is in it, and how it is ordered."""
    runs = [run for group in comparison.groups for run in group.runs]
    of_all = "" if len(runs) == len(comparison.runs) else f" of {len(comparison.runs)}"
    order = "highest" if comparison.mode == "max" else "lowest"
    words = [
        f"{_counted(len(runs), 'run', of_all)} of {_counted(len(comparison.groups), 'setting')}",
        f"{order} {comparison.metric} first",
    ]
    for what, values in (
        ("steps", {run.step for run in runs}),
        ("weights", {run.num_weights for run in runs} - {None}),
    ):
        if len(values) == 1:
            words.append(f"{values.pop():,} {what} each")
    return "; ".join(words)


def explanation(comparison: Comparison) -> list[str]:
    """Return what the figures in the table are, and how the intervals were made."""
    groups, metrics = comparison.groups, comparison.metrics
    lines = []
    for chosen_by in dict.fromkeys(run.monitor for group in groups for run in group.runs):
        lines.append(f"{', '.join(metrics)}: of each run's best weights, chosen by {chosen_by}")
    has_seeds = any(len(group.runs) > 1 for group in groups)
    if has_seeds:
        lines.append("±: standard deviation over the n seeds of a setting; time: mean of a run")
    if comparison.baseline is None or len(groups) < 2:
        return lines
    what = f"difference: in {comparison.quantity}, to row {comparison.baseline + 1}"
    if comparison.method == "bootstrap":
        averaged = ", seeds averaged first" if has_seeds else ""
        lines.append(
            f"{what}, with a {LEVEL:.0%} confidence interval by a paired bootstrap over the "
            f"{comparison.split} examples{averaged}: it tells of other examples, not of other seeds"
        )
        if comparison.split == "val":
            lines.append("the val examples have also chosen the best weights; prefer a test split")
    elif comparison.method == "welch":
        lines.append(
            f"{what}, with a {LEVEL:.0%} confidence interval by Welch's t test over the seeds"
        )
    else:
        lines.append(
            f"{what}; single runs without kept predictions of the same examples have no interval"
        )
    return lines


def how_far(run: PastRun) -> str:
    """Return a run's state in words."""
    words = [run.state]
    if run.step:
        words.append(f"step {run.step:,} (epoch {run.epoch:.3g})")
    value = run.values.get(run.monitor)
    words.append(f"no {run.monitor} yet" if value is None else f"{run.monitor} {number(value)}")
    if run.reason:
        words.append(run.reason)
    return ", ".join(words)


def label(group: Group, comparison: Comparison) -> str:
    """Return what a group is called: its settings that vary, `key=value`."""
    names = short_names(comparison.telling)
    others = {name: [other.settings.get(name) for other in comparison.groups] for name in names}
    words = [
        f"{short}={short_value(name, group.settings.get(name), others[name])}"
        for name, short in names.items()
    ]
    return "  ".join(words) or group.runs[0].folder.name


def _counted(num: int, what: str, of_all: str = "") -> str:
    return f"{num:,}{of_all} {what}{'' if num == 1 and not of_all else 's'}"
