"""What is kept of a replayed step: pictures and `report.json`."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from trainer.disk import blaming_disk
from trainer.replay.numeric_checks import BadOperation
from trainer.replay.pictures import draw
from trainer.replay.step import Replayed


def write(replayed: Replayed, folder: Path, class_names: tuple[str, ...] = ()) -> None:
    """Write the pictures and `report.json` into a folder, whole or not at all.

    Args:
        replayed: what is written.
        folder: what is there is replaced.
        class_names: for the images' labels.

    Raises:
        RunFolderError: if the disk does not let it be written.
    """
    beside = folder.with_name(f"{folder.name}.partial")
    with blaming_disk(folder):
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            draw(replayed, beside, class_names)
            text = json.dumps(_in_json(as_dict(replayed)), indent=2)
            (beside / "report.json").write_text(text + "\n")
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def as_dict(replayed: Replayed) -> dict[str, Any]:
    """Return all numbers as plain values."""
    observed, start = replayed.observed, replayed.way.start
    first_bad = replayed.first_bad_operation
    return {
        "step": replayed.step,
        "epoch": replayed.epoch,
        "start": {
            "step": replayed.way.first_step,
            "checkpoint": start.path.name if start and start.path else None,
            "steps_on_the_way": replayed.way.num_steps,
            "of_these_equal_to_the_run": replayed.num_equal,
        },
        "scalars": {
            "compiled": replayed.compiled,
            "logged": replayed.logged,
            "eager": observed.scalars,
            "is_equal": None if replayed.logged is None else not replayed.differing,
        },
        "first_bad_operation": first_bad and _operation(first_bad),
        "bad_operations": [_operation(bad) for bad in observed.checks.bad],
        "broken_variables": replayed.broken_variables,
        "batch": {
            key: x.summary.numbers()
            | {"non_finite_positions": x.non_finite, "non_finite_raw": x.non_finite_raw}
            for key, x in replayed.inputs.items()
        },
        "examples": None if replayed.examples is None else replayed.examples.tolist(),
        "layers": [{"name": name} | summary.numbers() for name, summary in observed.layers],
        "variables": [
            {
                "name": v.name,
                "weight": v.weight.numbers(),
                "gradient": v.gradient and v.gradient.numbers(),
                "update": v.update.numbers(),
                "update_to_weight": v.ratio,
            }
            for v in observed.variables
        ],
        "notes": replayed.notes,
    }


def _operation(bad: BadOperation) -> dict[str, Any]:
    return {
        "op": bad.op,
        "gradient_of": bad.gradient_of or None,
        "layer": bad.place.layer or None,
        "line": bad.place.line,
        "code": bad.place.code,
        "inputs": [summary.numbers() for summary in bad.inputs],
        "output": bad.output.numbers(),
        "has_finite_inputs": bad.has_finite_inputs,
    }


def _in_json(value: Any) -> Any:
    """Return plain values with `nan`, `inf` and `-inf` as text, which JSON has no numbers for."""
    if isinstance(value, dict):
        return {key: _in_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_in_json(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
