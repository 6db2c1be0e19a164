"""A run's model with its weights, from the run folder alone: no data is read.

For what uses a model once it is trained: a teacher, a prediction, an export. What a model takes
(`describe`) is written to `manifest.json` when its run starts.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer import config
from trainer.build import build_loss, build_model
from trainer.checkpoint import Checkpoint
from trainer.checkpoint_facts import problem
from trainer.checkpoint_folder import CheckpointFolder
from trainer.config import ConfigError
from trainer.data.data import Data, labels_of, model_inputs
from trainer.data.transform import Transform
from trainer.fingerprint import fingerprint
from trainer.precision import set_policy
from trainer.predictions import Activation, activation_of
from trainer.state import model_variables, restore, weights_in

KINDS = ("best", "last")
_RECORDED = {
    "precision": str,
    "class_names": [str],
    "inputs": {str: {"shape": [int], "dtype": str}},
    "standardisation": {str: [float]},
}
_LABELS = {str: {"shape": [int], "dtype": str}}


@dataclass(frozen=True)
class TrainedModel:
    """A model as a run left it.

    Args:
        model: built; its variables are nobody else's.
        class_names: of the data that it was trained on; empty where that has none.
        inputs: name to shape and dtype of one example, as the model takes it.
        transform: its `evaluation` makes images as they come what the model takes.
        step: updates done.
        fingerprint: of the weights; equal for equal weights.
        activation: what makes predictions of its outputs, as the loss implies.
        labels: name (of a single output None) to shape and dtype of one example's labels; None of
            runs that did not write them down.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    inputs: Mapping[str, tf.TensorSpec]
    transform: Transform
    step: int
    fingerprint: str
    activation: Activation
    labels: Mapping[str | None, tf.TensorSpec] | None


def load_trained(
    run_dir: Path, weights: str = "best", precision: str | None = None
) -> TrainedModel:
    """Return the model of a run, in the precision of the run.

    Under a strategy's scope, its variables are the strategy's.

    Args:
        run_dir: a run folder.
        weights: `best` or `last`; their moving average, where the run kept one.
        precision: another one to compute in, as of `trainer.precision.resolve`.

    Raises:
        ConfigError: if it is no run folder, has no such weights, or does not say what its model
            takes.
        CheckpointError: if the weights are damaged, or of another model.
        RunFolderError: if the folder holds links or folders where a run has files.
    """
    cfg = config.load(run_dir)
    found = find_weights(run_dir, weights)
    facts = _recorded(run_dir / "manifest.json")
    class_names = tuple(facts["class_names"])
    policy = keras.config.dtype_policy()
    try:
        inputs = {
            name: tf.TensorSpec(spec["shape"], spec["dtype"], name)
            for name, spec in facts["inputs"].items()
        }
        labels = _label_specs(facts)
        activation = activation_of(build_loss(cfg, class_names))
        set_policy(precision or facts["precision"])
        model = build_model(cfg, class_names)
        example = {name: tf.zeros([1, *spec.shape], spec.dtype) for name, spec in inputs.items()}
        model(model_inputs(example), training=False)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{run_dir}: its model cannot be built: {reason}") from error
    finally:
        keras.config.set_dtype_policy(policy)
    arrays = weights_in(found.arrays)
    restore(model_variables(model), arrays, str(found.path))
    transform = Transform(**facts["standardisation"])
    return TrainedModel(
        model, class_names, inputs, transform, found.step, fingerprint(arrays), activation, labels
    )


def find_weights(run_dir: Path, kind: str) -> Checkpoint:
    """Return the checkpoint that holds a run's `best` or `last` weights.

    Raises:
        ConfigError: for another kind, or if there are none.
        CheckpointError: if they are damaged.
    """
    if kind not in KINDS:
        raise ConfigError(f"weights={kind}: choose {' or '.join(KINDS)}")
    folder = CheckpointFolder(run_dir / "checkpoints")
    found = folder.best() if kind == "best" else folder.latest()
    if found is None:
        raise ConfigError(f"{run_dir}: there are no {kind} weights in {folder.folder}")
    return found


def describe(data: Data) -> dict[str, Any]:
    """Return what a model that is trained on this data takes and answers, as plain values."""
    labels = labels_of(data.evaluated_batch())
    labels = labels if isinstance(labels, Mapping) else {"": labels}
    return {
        "class_names": list(data.class_names),
        "inputs": {
            name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
            for name, spec in data.inputs.items()
        },
        "labels": {
            name: {"shape": list(tensor.shape[1:]), "dtype": tensor.dtype.name}
            for name, tensor in labels.items()
        },
        "standardisation": data.transform.standardisation,
    }


def _label_specs(facts: Mapping[str, Any]) -> dict[str | None, tf.TensorSpec] | None:
    if "labels" not in facts:
        return None
    return {
        name or None: tf.TensorSpec(spec["shape"], spec["dtype"])
        for name, spec in facts["labels"].items()
    }


def _recorded(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text()) if path.exists() else {}
    except (ValueError, OSError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    lacking = problem(facts, _RECORDED, "it")
    if not lacking and "labels" in facts:  # runs of before have none
        lacking = problem(facts["labels"], _LABELS, "its labels")
    lacking = lacking or _wrong_with(facts["standardisation"], facts["inputs"].get("image"))
    if lacking:
        raise ConfigError(
            f"{path}: does not say what the model takes: {lacking}; the command that trained it, "
            "given once more, writes it anew"
        )
    return dict(facts)


def _wrong_with(standardisation: Mapping[str, list[float]], image: Any) -> str | None:
    """Return what is wrong with the numbers that images are standardised by, or None."""
    if not standardisation:
        return None
    if standardisation.keys() != {"mean", "std"}:
        return "its standardisation has not both mean and std"
    mean, std = standardisation["mean"], standardisation["std"]
    num_channels = image["shape"][-1] if image and image["shape"] else 1
    if len(mean) != len(std) or len(mean) not in (1, num_channels):
        return f"its standardisation is of {len(mean)} and {len(std)} channels, not {num_channels}"
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        return "its standardisation is not of finite numbers, std above 0"
    return None
