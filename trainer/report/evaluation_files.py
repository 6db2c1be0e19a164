"""Where evaluations are kept: `report/` of a run folder, one section and one folder a split.

report.md               for people: what every split gave when it was last evaluated
metrics.json            the same for programs, by split
predictions_SPLIT.npz   what the model says of each example
SPLIT/                  its pictures, and an event file: TensorBoard's run `report/SPLIT`
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from trainer.data.dataset import SPLITS
from trainer.disk import blaming_disk, write_whole
from trainer.event_files import EventFile
from trainer.report import markdown
from trainer.report.evaluation import Evaluation
from trainer.report.figures import png
from trainer.report.folder import report_folder
from trainer.split_predictions import SplitPredictions

_AVERAGED = ("macro", "weighted")


def write(
    run_dir: Path,
    split: str,
    evaluation: Evaluation,
    predictions: SplitPredictions | None,
) -> list[str]:
    """Write an evaluation; what there was of the same split is replaced.

    Args:
        run_dir: the run folder.
        split: that was evaluated.
        evaluation: of it.
        predictions: kept where statistics are made of them: others compare nothing.

    Returns:
        Lines about what was left behind.

    Raises:
        RunFolderError: if something cannot be written, or there are links where it would be.
    """
    folder = report_folder(run_dir, split)
    report = folder.parent
    facts = orjson.loads(orjson.dumps(evaluation.facts))  # NaN becomes null
    splits, notes = _others(report / "metrics.json", split)
    splits[split] = facts
    kept = report / f"predictions_{split}.npz"
    with blaming_disk(folder):
        kept.unlink(missing_ok=True)
        # What was drawn before may no longer apply, and TensorBoard would show both evaluations.
        for path in (*folder.glob("*.png"), *folder.glob("events.out.tfevents.*")):
            path.unlink()
    if predictions is not None and facts["statistics"]:
        predictions.save(kept)
    for name, figure in evaluation.pictures.items():
        write_whole(folder / f"{name}.png", png(figure))
    _write_events(folder, split, facts, evaluation)
    write_whole(report / "metrics.json", orjson.dumps(splits, option=orjson.OPT_INDENT_2))
    has_curves = (report / "learning_curves.png").exists()
    text = markdown.report(splits, run_dir.resolve().name, has_curves)
    write_whole(report / "report.md", text.encode())
    return notes


def scalars(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return what of an evaluation is one number: the run's metrics, then averages.

    Args:
        facts: as `Evaluation` has them.

    Returns:
        Tag to value; the metrics have the tags of their curves, to be seen in the same charts.
    """
    values = dict(facts["metrics"])
    for key, found in facts["statistics"].items():
        name = key.partition("/")[2]
        prefix = f"report/{name}/" if name else "report/"
        for kind in _AVERAGED:
            values |= {f"{prefix}{kind}_{k}": v for k, v in found.get(kind, {}).items()}
        values |= {f"{prefix}{k}": v for k, v in found.items() if isinstance(v, float)}
        if "calibration" in found:
            values[f"{prefix}calibration_error"] = found["calibration"]["error"]
    return {tag: value for tag, value in values.items() if value is not None}


def _others(path: Path, split: str) -> tuple[dict[str, Any], list[str]]:
    """Return the facts of the other splits, as far as they can be read, and what cannot."""
    if not path.exists():
        return {}, []
    try:
        found = orjson.loads(path.read_bytes())
        others = {name: one for name, one in found.items() if name in SPLITS and name != split}
    except (AttributeError, OSError, ValueError):
        return {}, [f"{path}: what it held of other splits cannot be read, and is replaced"]
    notes = []
    for name in list(others):
        try:
            markdown.section(name, others[name])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            notes.append(f"{path}: what it held of {name} cannot be read; evaluate split={name}")
            del others[name]
    return others, notes


def _write_events(
    folder: Path, split: str, facts: Mapping[str, Any], evaluation: Evaluation
) -> None:
    step, file = facts["step"], EventFile(folder)
    try:
        columns = {tag: np.array([value]) for tag, value in scalars(facts).items()}
        if columns:
            file.scalars(np.array([step]), columns, time.time())
        for name, figure in evaluation.pictures.items():
            file.figure(f"report/{name}", step, figure)
        file.text("report", step, markdown.section(split, facts, with_pictures=False))
    finally:
        file.close()
