"""What makes a comparison less than it seems, one line each."""

import math
from collections.abc import Sequence

from trainer.compare.figures import number
from trainer.compare.groups import Group
from trainer.compare.intervals import Difference
from trainer.compare.past_run import PastRun


def doubts(
    runs: Sequence[PastRun], groups: Sequence[Group], split: str, metrics: Sequence[str]
) -> list[str]:
    """Return why values may not be comparable, or count for less than they seem to.

    Args:
        runs: the ranked ones.
        groups: the same, by setting.
        split: whose predictions are compared.
        metrics: what is compared.
    """
    notes = []
    for name in dict.fromkeys(("val", split)):
        if len({run.data_fingerprint(name) for run in runs} - {None}) > 1:
            notes.append(
                f"the runs were scored on different {name} data: values are not comparable"
            )
    losses = {tuple((k, v) for k, v in r.settings.items() if k.startswith("loss.")) for r in runs}
    if len(losses) > 1 and any(metric.endswith("loss") for metric in metrics):
        notes.append("the runs have different loss functions: their losses are not comparable")
    gits = [run.manifest.get("git") for run in runs]
    commits = {str(git.get("commit")) for git in gits if isinstance(git, dict)}
    if len(commits) > 1:
        notes.append(f"the runs were made by {len(commits)} versions of the code (git commits)")
    for place, group in enumerate(groups, start=1):
        if seeds := group.repeated_seeds():
            notes.append(
                f"row {place}: several runs of seed {', '.join(seeds)}, each counted: its n and ± "
                "claim more than there is"
            )
    return notes


def other_values(
    groups: Sequence[Group],
    baseline: int | None,
    quantity: str,
    differences: Sequence[Difference | None],
) -> list[str]:
    """Say where differences are not those of the metrics in the table: both are right."""
    for group, found in zip(groups, differences, strict=True):
        of_metrics = group.mean(quantity) - groups[baseline or 0].mean(quantity)
        if found and number(found.value) != number(of_metrics) and not math.isnan(of_metrics):
            return [
                "the kept predictions give other differences than the metrics in the table (by "
                f"{number(abs(found.value - of_metrics))}, say): precision is reduced, and rounds"
            ]
    return []
