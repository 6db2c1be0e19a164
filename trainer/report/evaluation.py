"""All that is said of a model on a split: the run's metrics, then statistics of its predictions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trainer.data.dataset import Arrays
from trainer.data.image_files import ImageFiles
from trainer.report import classification, mistakes, regression
from trainer.report.examples import Examples, NotApplicableError, examples_of
from trainer.split_predictions import SplitPredictions

_RELATIVE, _ABSOLUTE = 0.02, 1e-3  # by which losses of two programs differ in bfloat16


@dataclass(frozen=True)
class Evaluation:
    """A split as a model sees it.

    Args:
        facts: plain values for `metrics.json`: `num_examples`, `fingerprint` (of the split, as
            in the manifest), `weights`, `step`, `metrics`, `logged` (by training), `notes`, and
            `statistics` by the key of the labels, `label` or `label/NAME`.
        pictures: by the name of their file, without `.png`.
    """

    facts: dict[str, Any]
    pictures: dict[str, Figure]


def evaluation(
    facts: Mapping[str, Any],
    predictions: SplitPredictions | None,
    class_names: Sequence[str],
    arrays: Arrays,
) -> Evaluation:
    """Return the statistics of what a model says of a split; what does not apply has a note.

    Args:
        facts: all of `Evaluation` but `statistics`.
        predictions: of its examples; None where there are none.
        class_names: of the data.
        arrays: of the split, for the images of the mistakes.
    """
    statistics: dict[str, dict[str, Any]] = {}
    pictures: dict[str, Figure] = {}
    notes = list(facts["notes"])
    if predictions is not None:
        problem = _not_of_the_outputs(predictions, facts["metrics"]["loss"])
        notes += [problem] if problem else []
        prefixes = _prefixes([] if problem else list(predictions.labels))
        for name, prefix in prefixes.items():
            key = "label" if name is None else f"label/{name}"
            try:
                examples = examples_of(predictions, name, class_names)
            except NotApplicableError as error:
                notes.append(f"{key}: statistics of the predictions are left out: {error}")
                continue
            found, drawn = _of_output(examples, arrays)
            statistics[key] = found | {"pictures": [f"{prefix}{one}" for one in drawn]}
            pictures |= {f"{prefix}{one}": figure for one, figure in drawn.items()}
    return Evaluation({**facts, "notes": notes, "statistics": statistics}, pictures)


def _of_output(examples: Examples, arrays: Arrays) -> tuple[dict[str, Any], dict[str, Figure]]:
    kind = regression if examples.kind == "values" else classification
    found, drawn = kind.statistics(examples)
    picture = _illustrated(found["mistakes"], arrays, found["notes"])
    return found, drawn | ({"mistakes": picture} if picture else {})


def _not_of_the_outputs(predictions: SplitPredictions, loss: float) -> str | None:
    """Return why the outputs are not what the run scores, or None.

    A rule with a `test_step` of its own may score something else than outputs against labels.
    """
    total = predictions.weight.sum(dtype=np.float64)
    if not total or not np.isfinite(loss):
        return None  # said of the predictions themselves
    mean = float(predictions.losses.astype(np.float64) @ predictions.weight / total)
    if np.isclose(mean, loss, _RELATIVE, _ABSOLUTE):
        return None
    return (
        f"the run scores something else than the model's outputs (loss {loss:.4g}, theirs is "
        f"{mean:.4g}): statistics of the predictions are left out"
    )


def _illustrated(found: list[dict[str, Any]], arrays: Arrays, notes: list[str]) -> Figure | None:
    """Name the files of mistakes where there are any; return a picture of their images."""
    if not found or "image" not in arrays:
        return None
    rows = np.array([mistake["row"] for mistake in found])
    images = arrays["image"][rows]
    if isinstance(images, ImageFiles):
        for mistake, path in zip(found, images.paths, strict=True):
            mistake["file"] = str(path)
    if images.shape[-1] not in (1, 3):
        notes.append(f"images of {images.shape[-1]} channels: those of the mistakes are not drawn")
        return None
    return mistakes.draw(np.asarray(images), found)


def _prefixes(names: Sequence[str | None]) -> dict[str | None, str]:
    """Return what the pictures of each output begin with, numbered where it is the same."""
    found: dict[str | None, str] = {}
    used = set()
    for name in names:
        plain = "" if name is None else re.sub(r"[^\w.-]", "_", name)
        numbered = (plain, *(f"{plain}_{k}" for k in range(2, len(names) + 1)))
        # Some file systems do not tell capitals apart.
        chosen = next(one for one in numbered if one.casefold() not in used)
        used.add(chosen.casefold())
        found[name] = f"{chosen}_" if chosen else ""
    return found
