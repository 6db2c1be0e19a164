"""What Keras' optimizers would do by themselves, wrongly outside of `fit`: why, and what to set."""

from typing import Any

from trainer.targets import in_yaml

_BEFORE_THE_SUM = "Keras clips before the gradients of the replicas are added; set "
_EVERY_BATCH = "Keras averages at every batch, not at every update; set update.ema_decay="
NOT_BY_THE_OPTIMIZER = {
    "clipnorm": f"{_BEFORE_THE_SUM}update.clip_norm=",
    "clipvalue": f"{_BEFORE_THE_SUM}update.clip_value=",
    "global_clipnorm": f"{_BEFORE_THE_SUM}update.clip_global_norm=",
    "gradient_accumulation_steps": (
        "Keras advances the schedule at every batch, not at every update; "
        "set update.accumulate_steps="
    ),
    "use_ema": f"{_EVERY_BATCH}0.99",
    "ema_momentum": _EVERY_BATCH,
    "ema_overwrite_frequency": f"{_EVERY_BATCH}0.99, which leaves the training weights alone",
    "loss_scale_factor": "the loss is scaled where precision needs it; leave it out",
}


def instead(name: str, value: Any) -> str:
    """Return the line that refuses an argument: `clipnorm=1: … set update.clip_norm=1`."""
    why, shown = NOT_BY_THE_OPTIMIZER[name], in_yaml(value)
    return f"{name}={shown}: {why}{shown if why.endswith('=') else ''}"
