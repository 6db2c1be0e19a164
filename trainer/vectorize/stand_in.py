"""Keras variables as tensors: within a scope a step reads and assigns values, not variables.

So a step becomes a function of its state, which TensorFlow can vectorize, whatever it calls.
"""

import operator
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class StandInError(ValueError):
    """A step that is no function of the variables it is given."""


class StandIn:
    """Stands for a `tf.Variable` while a step is traced: it has a value, and is assigned to.

    Args:
        variable: for which it stands; what is asked beside the value is asked of it.
        value: the tensor it begins with.
    """

    def __init__(self, variable: tf.Variable, value: tf.Tensor) -> None:
        self._variable = variable
        self.tensor = value
        self._graph = tf.compat.v1.get_default_graph()
        self.is_assigned = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._variable, name)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.read_value(), dtype, name=name)

    def __getitem__(self, index: Any) -> tf.Tensor:
        return self.read_value()[index]

    def read_value(self) -> tf.Tensor:
        """Return the value, with a gradient that flows to the variable."""
        if not self._variable.trainable:
            return self.tensor
        value = self.tensor

        @tf.custom_gradient
        def instead(read: tf.Tensor) -> tuple[tf.Tensor, Any]:
            del read
            return tf.identity(value), lambda gradient: gradient

        # Tapes watch a variable that is read, and take gradients with respect to its handle.
        return instead(self._variable.read_value())

    value = read_value

    def assign(self, value: Any, *_: Any, **__: Any) -> "StandIn":
        """Take another value."""
        tensor = tf.convert_to_tensor(value, self._variable.dtype)
        if tensor.graph is not self._graph:
            raise StandInError(
                f"vectorize=seeds: the variable {self._variable.name} is assigned to under a "
                "condition or in a loop; leave out vectorize=seeds"
            )
        self.tensor, self.is_assigned = tensor, True
        return self

    def assign_add(self, delta: Any, *_: Any, **__: Any) -> "StandIn":
        """Add to the value."""
        return self.assign(self.tensor + self._like(delta))

    def assign_sub(self, delta: Any, *_: Any, **__: Any) -> "StandIn":
        """Subtract from the value."""
        return self.assign(self.tensor - self._like(delta))

    def _like(self, delta: Any) -> tf.Tensor:
        return tf.convert_to_tensor(delta, self._variable.dtype)


def _operator(name: str) -> Any:
    function = getattr(operator, name.replace("__r", "__"), None) or getattr(operator, name)
    if name.startswith("__r"):
        return lambda self, other: function(other, self.read_value())
    return lambda self, *others: function(self.read_value(), *others)


# Python looks operators up in the class.
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(StandIn, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(StandIn, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in ("neg", "abs", "lt", "le", "gt", "ge"):
    setattr(StandIn, f"__{_name}__", _operator(f"__{_name}__"))


class Standing(keras.StatelessScope):
    """Within this scope Keras variables have stand-ins.

    Args:
        variables: Keras variables that exist.
        values: for each a tensor.
    """

    def __init__(self, variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> None:
        super().__init__(collect_losses=True, initialize_variables=False)
        pairs = zip(variables, values, strict=True)
        self._stand_ins = {id(v): StandIn(v.value, value) for v, value in pairs}

    def get_current_value(self, variable: keras.Variable) -> Any:
        """Return what stands for a variable; None: nothing."""
        return self._stand_ins.get(id(variable))

    def add_update(self, update: tuple[keras.Variable, tf.Tensor]) -> None:
        """Take a value that is assigned to a variable."""
        variable, value = update
        if id(variable) not in self._stand_ins:
            raise StandInError(
                f"vectorize=seeds: the variable {variable.path} is not one of the training's; "
                "leave out vectorize=seeds"
            )
        self._stand_ins[id(variable)].assign(value)

    @property
    def tensors(self) -> list[tf.Tensor]:
        """The values now."""
        return [each.tensor for each in self._stand_ins.values()]

    @property
    def are_assigned(self) -> list[bool]:
        """Which were assigned to."""
        return [each.is_assigned for each in self._stand_ins.values()]
