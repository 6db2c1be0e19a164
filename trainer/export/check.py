"""Is what was exported the run's model? Ask both, the file in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.data import model_inputs
from trainer.export import fresh_process
from trainer.export.chosen import PRECISION, Chosen
from trainer.export.export import LONGEST, Exported, ExportError
from trainer.export.formats import FORMATS
from trainer.export.serving import IMAGE, predictions
from trainer.targets import HOME
from trainer.trained_model import TrainedModel, load_trained

NUM_EXAMPLES = 16
SEED = 0

TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest prediction where that is above 1.

Every format computes in float32, whose rounding is 6e-8 relative; other kernels add in another
order and join operations, and over the layers of a deep network that becomes 1e-6 to 1e-5. What
would be wrong is larger by far: bfloat16 alone makes 1e-2, a forgotten scaling more."""

SAME_OPERATIONS = 1e-5
"""Of formats that Keras itself loads: the same operations on the same weights. Only GPUs differ
here, whose kernels may add in another order every time."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """How far a file is from the run's model.

    Args:
        difference: the largest, over all predictions of all examples.
        tolerance: what is allowed.
        reader: the library that loaded the file, and its version.
        num_weights: how many variables are equal to the bit; None where the file is asked for
            predictions alone.
    """

    difference: float
    tolerance: float
    reader: str
    num_weights: int | None


def examples(trained: TrainedModel) -> Arrays:
    """Return inputs to ask with, as they come: noise, smooth images, black and white.

    Args:
        trained: whose inputs.

    Returns:
        `image` uint8 [B, H, W, C], others standard normal [B, ...] in their own dtype.
    """
    rng = np.random.default_rng(SEED)
    batch = {}
    for name, spec in trained.inputs.items():
        if name == IMAGE:
            batch[name] = _images(rng, spec.shape)
        else:
            values = rng.standard_normal((NUM_EXAMPLES, *spec.shape))
            batch[name] = values.astype(spec.dtype.as_numpy_dtype)
    return batch


def ask(trained: TrainedModel, batch: Arrays) -> Arrays:
    """Return a model's predictions of inputs as they come."""
    inputs = model_inputs(trained.transform.evaluation(_tensors(batch)))
    found = predictions(trained, trained.model(inputs, training=False))
    return {name: tensor.numpy() for name, tensor in found.items()}


def largest_difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """Return it over all predictions; infinite where names or shapes differ, or one is NaN."""
    if one.keys() != other.keys():
        return np.inf
    differences = [_difference(one[name], other[name]) for name in one]
    return max(differences)


def check(exported: Exported, trained: TrainedModel, run_dir: Path) -> Finding:
    """Load a file in a fresh process and compare what it says with the run's model.

    Args:
        exported: the file.
        trained: the model that it should be.
        run_dir: whose model it is.

    Raises:
        ExportError: if it does not load, or says something else.
    """
    batch = examples(trained)
    is_serving = FORMATS[exported.name].is_serving
    if is_serving:
        expected = ask(trained, batch)
    else:
        # These take what the model takes.
        batch = {k: v.numpy() for k, v in trained.transform.evaluation(_tensors(batch)).items()}
        outputs = trained.model(model_inputs(_tensors(batch)), training=False)
        named = outputs if isinstance(outputs, Mapping) else {"outputs": outputs}
        expected = {name: tensor.numpy() for name, tensor in named.items()}
    found = _in_fresh_process(exported, batch, run_dir)
    whole = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("all/")}
    first = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("one/")}
    difference = max(
        largest_difference(expected, whole),
        largest_difference({name: array[:1] for name, array in expected.items()}, first),
    )
    tolerance = TOLERANCE if is_serving else SAME_OPERATIONS
    if not difference <= tolerance:
        raise ExportError(
            f"{exported.name}: the file differs from the run's model by {difference:.3g}, more "
            f"than {tolerance:g}; nothing was exported"
        )
    if is_serving:
        if str(found["card"]) != exported.card:
            raise ExportError(f"{exported.name}: the card in the file is another one")
        return Finding(difference, tolerance, str(found["reader"]), None)
    num_weights = _equal_weights(exported.name, found["weights"].tolist(), trained)
    return Finding(difference, tolerance, str(found["reader"]), num_weights)


def precision_costs(run_dir: Path, chosen: Chosen) -> tuple[str, float] | None:
    """Return the precision that the run computed in, and how far it is from the exported one.

    Args:
        run_dir: the run.
        chosen: its model in the precision that is exported.

    Returns:
        Name and largest difference of predictions; None where the run computed in that precision.
    """
    own = load_trained(run_dir, chosen.kind)
    precision = own.model.dtype_policy.name
    if precision == PRECISION:
        return None
    pairs = zip(own.model.variables, chosen.trained.model.variables, strict=True)
    for variable, source in pairs:
        variable.assign(source)
    batch = examples(own)
    return precision, largest_difference(ask(chosen.trained, batch), ask(own, batch))


def _equal_weights(name: str, found: list[str], trained: TrainedModel) -> int:
    weights = trained.model.weights
    expected = [fresh_process.digest(variable.numpy()) for variable in weights]
    if len(found) != len(expected):
        raise ExportError(f"{name}: {len(found)} variables came back, the model has {len(weights)}")
    pairs = zip(weights, expected, found, strict=True)
    differing = [variable.path for variable, one, other in pairs if one != other]
    if differing:
        raise ExportError(
            f"{name}: {len(differing)} of {len(weights)} variables came back as others, first "
            f"{differing[0]}; nothing was exported"
        )
    return len(weights)


def _in_fresh_process(exported: Exported, batch: Arrays, run_dir: Path) -> Arrays:
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs, **batch)  # type: ignore[arg-type]
        # -I: no environment, no current folder; -P: not the script's folder.
        is_serving = FORMATS[exported.name].is_serving
        words = [sys.executable, "-I" if is_serving else "-P", fresh_process.__file__]
        words += [exported.name, str(exported.path.resolve()), str(inputs), str(outputs)]
        environment = dict(os.environ)
        if not is_serving:
            words += [str(run_dir.resolve()), *json.loads(exported.card)["code"]]
            environment["PYTHONPATH"] = os.pathsep.join([str(HOME), *filter(None, sys.path)])
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"exit code {done.returncode}"
            raise ExportError(
                f"{exported.name}: the file does not load in a fresh process: {reason[:LONGEST]}"
            )
        with np.load(outputs) as file:
            return dict(file)


def _images(rng: np.random.Generator, shape: Any) -> np.ndarray:
    height, width, channels = shape
    noise = rng.integers(0, 256, (NUM_EXAMPLES // 2, height, width, channels))
    # Photographs are smooth: a few coarse pixels, made large.
    coarse = rng.uniform(0, 255, (NUM_EXAMPLES - len(noise) - 2, 4, 4, channels))
    smooth = tf.image.resize(coarse, (height, width)).numpy()
    black_and_white = np.stack([np.zeros(shape), np.full(shape, 255)])
    return np.concatenate([noise, smooth, black_and_white]).astype(np.uint8)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return np.inf
    largest = float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64))))
    scale = max(1.0, float(np.max(np.abs(one))))
    return np.inf if np.isnan(largest) else largest / scale


def _tensors(batch: Arrays) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in batch.items()}
