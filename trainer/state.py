"""Everything that evolves during a run, in one flat map of names to arrays.

Keras objects are never handed to `tf.train.Checkpoint`, which silently leaves out layers held in
lists, seed generators and metrics.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from trainer.checkpoint import CheckpointError
from trainer.optimizers import Optimizer

Variables = dict[str, keras.Variable]


def model_variables(model: keras.Model) -> Variables:
    """Return all variables of a built model by name, seed generators included."""
    return _named("model", model.variables)


def training_variables(
    model: keras.Model,
    optimizer: Optimizer,
    update: Iterable[keras.Variable],
    averages: Mapping[int, keras.Variable],
    metrics: Iterable[keras.Variable],
) -> Variables:
    """Return the variables of a training run by name.

    Args:
        model: built.
        optimizer: built.
        update: what evolves between the gradients and the weights.
        averages: id of a model variable to its moving average.
        metrics: the training metrics' sums.
    """
    return {
        **model_variables(model),
        **_averages(model, averages),
        **_named("optimizer", optimizer.variables),
        **_named("update", update),
        **_named("metrics", metrics),
    }


def evaluated_weights(
    model: keras.Model, averages: Mapping[int, keras.Variable]
) -> dict[str, np.ndarray]:
    """Return copies of what is evaluated, under the model's names: the averages where kept."""
    shadows = _averages(model, averages)
    return snapshot(
        {name: shadows.get(f"average/{name}", v) for name, v in model_variables(model).items()}
    )


def snapshot(variables: Variables) -> dict[str, np.ndarray]:
    """Return copies of the variables' values."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def weights_in(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the model's variables in a checkpoint as an evaluation sees them: averages if kept."""
    return {
        name: arrays.get(f"average/{name}", array)
        for name, array in arrays.items()
        if name.startswith("model/")
    }


def restore(variables: Variables, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Assign saved values; all or nothing.

    Args:
        variables: by name.
        arrays: by the same names, of the same shapes and dtypes.
        source: where the arrays come from, for the error.

    Raises:
        CheckpointError: if names, shapes or dtypes differ: it is of another model or optimizer.
    """
    here = {name: _kind(variable.shape, variable.dtype) for name, variable in variables.items()}
    there = {name: _kind(array.shape, array.dtype) for name, array in arrays.items()}
    if here != there:
        names = sorted(here.keys() ^ there.keys()) or [n for n in here if here[n] != there[n]]
        name = names[0]
        raise CheckpointError(
            f"{source} does not fit this model and optimizer: {len(names)} variable(s) differ, "
            f"first {name!r}: {there.get(name, 'absent')} in the file, "
            f"{here.get(name, 'absent')} here; use the configuration it was saved with, "
            "or another run folder"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def callback_arrays(callback: keras.callbacks.Callback, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays that a callback holds, such as the `best_weights` of `EarlyStopping`."""
    return {
        f"{prefix}{name}/{k:04d}": np.array(array)
        for name, value in vars(callback).items()
        if not name.startswith("_") and _is_list_of_arrays(value)
        for k, array in enumerate(value)
    }


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback remembers: its attributes that are plain values."""
    return {
        name: plain
        for name, value in vars(callback).items()
        if not name.startswith("_") and (plain := _plain(value)) is not _NOT_PLAIN
    }


def restore_callback(
    callback: keras.callbacks.Callback,
    saved: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Set a callback's attributes to what `callback_state` and `callback_arrays` returned.

    Raises:
        CheckpointError: if they are no attributes that these would have returned.
    """
    for name, value in [*saved.items(), *((name.rpartition("/")[0], []) for name in arrays)]:
        _check_attribute(callback, name, value)
    if "min_delta" in saved and hasattr(callback, "_set_monitor_op"):
        # Keras finds out a metric's direction at the first epoch's end, and negates `min_delta` as
        # it does; a callback that is new would do so once more.
        callback._set_monitor_op()
    for name, value in saved.items():
        if name != "params":
            setattr(callback, name, value)
    lists: dict[str, list[np.ndarray]] = {}
    for name in sorted(arrays):
        lists.setdefault(name.rpartition("/")[0], []).append(arrays[name])
    for name, values in lists.items():
        setattr(callback, name, values)


_NOT_PLAIN = object()


def _check_attribute(callback: keras.callbacks.Callback, name: str, value: Any) -> None:
    is_number = isinstance(getattr(callback, name, None), int | float)
    of_class = getattr(type(callback), name, None)
    if (
        name.startswith("_")
        or callable(of_class)
        or isinstance(of_class, property)
        or (is_number and not isinstance(value, int | float | None))
    ):
        raise CheckpointError(
            f"the checkpoint does not fit the callback {type(callback).__name__}: "
            f"it cannot remember {name!r}; use another checkpoint, or another run folder"
        )


def _is_list_of_arrays(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) > 0
    return is_list and all(isinstance(item, np.ndarray) for item in value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return _NOT_PLAIN if any(item is _NOT_PLAIN for item in items) else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        entries = {key: _plain(item) for key, item in value.items()}
        return _NOT_PLAIN if any(e is _NOT_PLAIN for e in entries.values()) else entries
    return _NOT_PLAIN


def _averages(model: keras.Model, averages: Mapping[int, keras.Variable]) -> Variables:
    variables = model_variables(model)
    return {f"average/{n}": averages[id(v)] for n, v in variables.items() if id(v) in averages}


def _named(group: str, variables: Iterable[keras.Variable]) -> Variables:
    # Paths are not unique (two layers of one name in a list), and the numbers in Keras' automatic
    # names (dense_8) depend on what the process built before: the position tells variables apart.
    return {
        f"{group}/{k:04d}/{re.sub(r'_[0-9]+(?=[/_]|$)', '', v.path)}": v
        for k, v in enumerate(variables)
    }


def _kind(shape: Any, dtype: Any) -> str:
    return f"{dtype}{list(shape)}"
