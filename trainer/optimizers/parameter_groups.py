"""Several optimizers, each for a group of variables."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


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
        self.default = default
        if learning_rate is not None:
            self.learning_rate = learning_rate
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
                if self.member_of(v) is member
            ]
            if pairs:
                member.apply([g for g, _ in pairs], [v for _, v in pairs])

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Exclude variables from the weight decay of all optimizers, as each of them does."""
        for member in self.members:
            member.exclude_from_weight_decay(var_list, var_names)

    def member_of(self, variable: keras.Variable) -> keras.optimizers.Optimizer:
        """Return the optimizer that updates a variable; after `build`."""
        return self._member_of[id(variable)]

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
        """The default optimizer's current rate, to be read and set."""
        return self.default.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.default.learning_rate = learning_rate


def matches(variable: keras.Variable, pattern: str) -> bool:
    """Return whether a pattern is a variable's name, or matches its path as file names do."""
    return variable.name == pattern or fnmatch.fnmatchcase(variable.path, pattern)
