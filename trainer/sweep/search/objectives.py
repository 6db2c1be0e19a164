"""What a search is to make large or small: its metrics, and a run's values of them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import targets
from trainer.compare.past_run import read_run
from trainer.config import ConfigError
from trainer.suggestions import nearest
from trainer.sweep.direction import direction

_OF_THE_RUN = ("time/total", "num_weights")
_MODES = ("max", "min")


def read_objectives(given: Any, config: Mapping[str, Any]) -> dict[str, str]:
    """Return `max` or `min` by metric, in order.

    Args:
        given: such a mapping; None: what the runs monitor, in its direction.
        config: a checked configuration of one of the runs, as plain values.

    Raises:
        ConfigError: if the runs have no such metric.
    """
    if given is None:
        metric = str(config["monitor"])
        return {metric: direction(config, metric)}
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(
            f"sweep.objectives={given}: must be max or min by metric, such as "
            "{val/accuracy: max, num_weights: min}, or null for what is monitored"
        )
    known = _known(config)
    for metric, mode in given.items():
        if metric not in known:
            raise ConfigError(
                f"sweep.objectives.{metric}: no such metric; {nearest(str(metric), known)}"
            )
        if mode not in _MODES:
            raise ConfigError(f"sweep.objectives.{metric}={mode}: must be max or min")
    return {str(metric): str(mode) for metric, mode in given.items()}


def values_of(run_dir: Path, metrics: Mapping[str, Any]) -> tuple[list[float], str]:
    """Return a finished run's values, of its best weights, and what is wrong with them or "".

    Args:
        run_dir: its folder.
        metrics: by name, in order.
    """
    try:
        run = read_run(run_dir)
    except (ValueError, OSError) as error:
        return [], str(error)
    there = {**(run.best or run.final), "time/total": run.seconds, "num_weights": run.num_weights}
    values = []
    for metric in metrics:
        value = there.get(metric)
        if value is None or math.isnan(value):
            return [], f"{metric} is {'missing' if value is None else 'NaN'}"
        values.append(float(value))
    return values, ""


def _known(config: Mapping[str, Any]) -> list[str]:
    rule = targets.resolve("trainer", config["trainer"]["_target_"])
    metrics = [*config["metrics"], *getattr(rule, "scores", {})]
    train = [f"train/{name}" for name in config["metrics"]]
    return ["val/loss", *(f"val/{name}" for name in metrics), *train, *_OF_THE_RUN]
