"""Whether more or less of a metric is better, known before anything of the run is built."""

from collections.abc import Mapping
from typing import Any

from trainer import targets
from trainer.config import ConfigError, gets_num_classes

COSTS = ("loss", "num_weights", "time/total")
"""What is best at its least, whatever the metrics are."""


def direction(config: Mapping[str, Any], metric: str) -> str:
    """Return `max` or `min`.

    Args:
        config: a checked configuration, as plain values.
        metric: `val/NAME`, `train/NAME`, `time/total` or `num_weights`.

    Raises:
        ConfigError: if it is not known of a metric.
    """
    name = metric.partition("/")[2]
    if metric in COSTS or name in COSTS:
        return "min"
    if metric == config["monitor"] and config["monitor_mode"] != "auto":
        return str(config["monitor_mode"])
    scores = getattr(targets.resolve("trainer", config["trainer"]["_target_"]), "scores", {})
    if name in scores:
        return str(scores[name])
    known = _as_keras_knows_it(f"metrics.{name}", config["metrics"].get(name))
    if known is None:
        how = "say monitor_mode=max or monitor_mode=min"
        raise ConfigError(f"{metric}: whether more or less of it is better is not known; {how}")
    return known


def _as_keras_knows_it(path: str, node: Mapping[str, Any] | None) -> str | None:
    if node is None:
        return None
    import tensorflow as tf  # the checks before this have imported it, without its notices

    # Only looked at: a sweep leaves the GPUs to its jobs.
    tf.config.set_visible_devices([], "GPU")
    classes = {"num_classes": 2} if gets_num_classes(path, node) else {}
    up_or_down = getattr(targets.instantiate({**node, **classes}), "_direction", None)
    return {"up": "max", "down": "min"}.get(str(up_or_down))
