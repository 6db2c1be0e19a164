"""Optimizers: any of Keras', or several of them for groups of variables."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from trainer.keras_arguments import NOT_BY_THE_OPTIMIZER, instead

# These have a default, and do nothing without `use_ema`.
_IDLE_ALONE = {"ema_momentum", "ema_overwrite_frequency"}


class ParameterGroups:
    """Several optimizers, each for the variables whose names it is given.

    Args:
        default: for every variable that no pattern matches.
        groups: pattern to optimizer; the first that matches has the variable. A pattern is a
            variable's name (`kernel`) or matches its path (`*logits/*`).
        learning_rate: of `default`, if it is to be another than its own: the one that
            `optimizer.learning_rate` sets. A schedule keeps each group's own peak.

    Raises:
        ValueError: when built, if a pattern matches no variable.
    """

    def __init__(
        self,
        default: keras.optimizers.Optimizer,
        groups: Mapping[str, keras.optimizers.Optimizer],
        learning_rate: float | None = None,
    ) -> None:
        if learning_rate is not None:
            default.learning_rate = learning_rate
        self.default = default
        self.groups = dict(groups)
        self._member_of: dict[int, keras.optimizers.Optimizer] = {}

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Divide the variables among the optimizers and build each."""
        shares: dict[int, list[keras.Variable]] = {id(member): [] for member in self.members}
        used = set()
        for variable in variables:
            pattern = next((p for p in self.groups if matches(variable, p)), None)
            used.add(pattern)
            member = self.default if pattern is None else self.groups[pattern]
            self._member_of[id(variable)] = member
            shares[id(member)].append(variable)
        for pattern in self.groups:
            if pattern not in used:
                paths = ", ".join(v.path for v in variables[:4])
                raise ValueError(
                    f"optimizer.groups: {pattern!r} matches no variable that no pattern before it "
                    f"has; the paths are {paths}, …"
                )
        for member in self.members:
            member.build(shares[id(member)])

    def apply(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        """Update each variable by its own optimizer; traced."""
        for member in self.members:
            pairs = [
                (g, v)
                for g, v in zip(gradients, variables, strict=True)
                if self._member_of[id(v)] is member
            ]
            if pairs:
                member.apply([g for g, _ in pairs], [v for _, v in pairs])

    @property
    def members(self) -> list[keras.optimizers.Optimizer]:
        """The optimizers, the default one first."""
        return [self.default, *self.groups.values()]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables of all optimizers."""
        return [variable for member in self.members for variable in member.variables]

    @property
    def learning_rate(self) -> Any:
        """The default optimizer's current rate."""
        return self.default.learning_rate


Optimizer: TypeAlias = keras.optimizers.Optimizer | ParameterGroups


def members(optimizer: Optimizer) -> list[keras.optimizers.Optimizer]:
    """Return the optimizers of parameter groups, or the one itself."""
    return optimizer.members if isinstance(optimizer, ParameterGroups) else [optimizer]


def matches(variable: keras.Variable, pattern: str) -> bool:
    """Return whether a pattern is a variable's name, or matches its path as file names do."""
    return variable.name == pattern or fnmatch.fnmatchcase(variable.path, pattern)


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
