"""Which weights of a run are exported, in float32."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trainer import config
from trainer.config import ConfigError
from trainer.fingerprint import fingerprint
from trainer.state import model_variables, restore
from trainer.trained_model import TrainedModel, find_weights, load_trained

PRECISION = "float32"
"""Of what is exported. Variables are float32 in every run; TFLite and ONNX runtimes do not compute
in bfloat16 on CPUs, and float32 is what all of them have."""


@dataclass(frozen=True)
class Chosen:
    """A model with the weights to be exported.

    Args:
        trained: the model, in float32.
        kind: `best` or `last`.
        is_average: whether they are the moving average of the weights.
        values: metric to value, as the run had scored it with these weights.
    """

    trained: TrainedModel
    kind: str
    is_average: bool
    values: Mapping[str, float]


def choose(run_dir: Path, kind: str, average: bool | None) -> Chosen:
    """Load the weights that were asked for.

    Args:
        run_dir: a run folder.
        kind: `best` or `last`.
        average: True for the moving average; False for the weights as they were trained; None for
            what the run evaluated, which is the average where it kept one.

    Raises:
        ConfigError: if the run did not keep these, or is no run.
        CheckpointError: if they are damaged.
        RunFolderError: if the folder holds links or folders where a run has files.
    """
    keeps_average = config.load(run_dir)["update"]["ema_decay"] is not None
    if average and not keeps_average:
        raise ConfigError(
            f"--ema: {run_dir} kept no moving average of its weights (update.ema_decay=null); "
            "leave --ema out, or train with update.ema_decay"
        )
    wants_trained = average is False and keeps_average
    if wants_trained and kind == "best":
        raise ConfigError(
            f"--no-ema: {run_dir} scored moving averages, and its best weights are one; the "
            "weights themselves are kept of the last step alone: give --weights last"
        )
    trained = load_trained(run_dir, kind, PRECISION)
    found = find_weights(run_dir, kind)
    values = found.facts["values" if kind == "best" else "val_values"]
    if wants_trained:
        arrays = {n: array for n, array in found.arrays.items() if n.startswith("model/")}
        restore(model_variables(trained.model), arrays, str(found.path))
        # The run scored the average.
        trained, values = replace(trained, fingerprint=fingerprint(arrays)), {}
    return Chosen(trained, kind, keeps_average and not wants_trained, values)
