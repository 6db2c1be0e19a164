"""What an optimizer consists of, and what is done to each part of it before it is built."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras

from trainer.keras_arguments import NOT_BY_THE_OPTIMIZER, instead
from trainer.optimizers.lookahead import Lookahead
from trainer.optimizers.parameter_groups import ParameterGroups, matches

# These have a default, and do nothing without `use_ema`.
_IDLE_ALONE = {"ema_momentum", "ema_overwrite_frequency"}

Optimizer: TypeAlias = keras.optimizers.Optimizer | ParameterGroups


def members(optimizer: Optimizer) -> list[keras.optimizers.Optimizer]:
    """Return the optimizers with a learning rate of their own: of all groups, inside Lookahead."""
    if isinstance(optimizer, Lookahead):
        return members(optimizer.inner)
    if isinstance(optimizer, ParameterGroups):
        return [inner for member in optimizer.members for inner in members(member)]
    return [optimizer]


def takes_rows(optimizer: Optimizer, variable: keras.Variable) -> bool:
    """Return whether a variable's gradient may be `tf.IndexedSlices`; after `build`."""
    if isinstance(optimizer, Lookahead):
        return takes_rows(optimizer.inner, variable)
    if isinstance(optimizer, ParameterGroups):
        return takes_rows(optimizer.member_of(variable), variable)
    return getattr(optimizer, "takes_rows", False)


def set_schedule(optimizer: Optimizer, schedule: Callable[[float], Any]) -> None:
    """Give each optimizer the schedule of its own peak.

    Args:
        optimizer: whose learning rates are plain numbers so far.
        schedule: from a peak learning rate to a number or a Keras schedule.
    """
    for member in members(optimizer):
        member.learning_rate = schedule(float(member.learning_rate.numpy()))


def exclude_from_weight_decay(
    optimizer: Optimizer, variables: Sequence[keras.Variable], patterns: Sequence[str]
) -> None:
    """Take variables out of the optimizers' weight decay.

    Raises:
        ValueError: if an optimizer with weight decay was built before.
    """
    excluded = [v for v in variables if any(matches(v, pattern) for pattern in patterns)]
    for member in members(optimizer):
        if member.weight_decay and excluded:
            if member.built:
                raise ValueError(
                    f"optimizer {member.name!r} is built already, so that nothing can be excluded "
                    "from its weight decay; leave it unbuilt, or set weight_decay_exclude=()"
                )
            member.exclude_from_weight_decay(var_list=excluded)


def check_arguments(optimizer: Optimizer) -> None:
    """Check that nothing is left to Keras that the update rule does itself.

    Raises:
        ValueError: naming the argument and where to set it instead.
    """
    for member in members(optimizer):
        if isinstance(member, keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "optimizer: LossScaleOptimizer is not needed; with precision=mixed_float16 the "
                "Trainer scales the loss itself, give it the inner optimizer"
            )
        for name in NOT_BY_THE_OPTIMIZER:
            value = getattr(member, name, None)
            if value and name not in _IDLE_ALONE:
                raise ValueError(f"optimizer.{instead(name, value)}")
