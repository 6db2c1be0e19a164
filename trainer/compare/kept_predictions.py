"""Which runs keep predictions that can be compared, and what they score."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainer.compare.example_scores import ExampleScores, path_of, read_scores
from trainer.compare.past_run import FINISHED, PastRun

_SPLITS = ("test", "val")
Scores = Mapping[Path, ExampleScores]
"""By run folder."""


def split_kept(runs: Sequence[PastRun]) -> str:
    """Return the split of which predictions are kept, else of which they could be; `test` first."""
    for split in _SPLITS:
        if any(path_of(run.folder, split).exists() for run in runs):
            return split
    return next((s for s in _SPLITS if all(r.data_fingerprint(s) for r in runs)), _SPLITS[-1])


def kept_scores(runs: Sequence[PastRun], split: str) -> tuple[dict[Path, ExampleScores], list[str]]:
    """Return the scores of the finished runs' best weights, and what is wrong with others'."""
    scores, notes, missing = {}, [], []
    finished = [run for run in runs if run.state == FINISHED]
    for run in finished:
        path = path_of(run.folder, split)
        if not path.exists():
            missing.append(run.folder)
            continue
        try:
            found = read_scores(path)
        except (ValueError, OSError) as error:
            notes.append(" ".join(str(error).split()))
            continue
        if run.best_step not in (None, found.step):
            notes.append(
                f"{path}: of step {found.step:,}, the best weights are of step {run.best_step:,}; "
                f"not used, evaluate anew: {_evaluate(run.folder, split)}"
            )
            continue
        if run.data_fingerprint(split) not in (None, found.data):
            if split not in run.elsewhere:  # which is said of all such runs at once
                notes.append(_of_other_data([run], split))
            continue
        scores[run.folder] = found
    if missing and len(finished) > 1:
        notes.append(
            f"{len(missing)} of {len(finished)} finished runs keep no predictions on {split}, "
            f"which intervals over examples need; for each: {_evaluate(missing[0], split)}"
        )
    return scores, notes


def elsewhere(runs: Sequence[PastRun]) -> list[str]:
    """Say of which runs `evaluate` scored other data than theirs: a line for each split."""
    splits = dict.fromkeys(split for run in runs for split in run.elsewhere)
    return [_of_other_data([r for r in runs if split in r.elsewhere], split) for split in splits]


def with_evaluated(run: PastRun, scores: Scores, split: str) -> PastRun:
    """Return a run with the means of its scores among its metrics, unless `evaluate` gave them."""
    if run.folder not in scores:
        return run
    found = {f"{split}/{name}": value for name, value in scores[run.folder].metrics().items()}
    return replace(run, evaluated={**found, **run.evaluated})


def _of_other_data(runs: Sequence[PastRun], split: str) -> str:
    names = ", ".join(run.folder.name for run in runs)
    return (
        f"{names}: not known to be evaluated on the run's own {split} data; those values are not "
        "used, evaluate anew without other settings of the data: "
        f"{_evaluate(runs[0].folder, split)}"
    )


def _evaluate(run_dir: Path, split: str) -> str:
    return shlex.join(["python", "-m", "trainer", "evaluate", str(run_dir), f"split={split}"])
