"""The learning rate against the steps of a run, for each group of parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.describe.section import Section
from trainer.disk import write_whole
from trainer.durations import RunLength
from trainer.optimizers import Lookahead, Optimizer, ParameterGroups
from trainer.trainer import Trainer

MOST_POINTS = 5_000
"""A curve has a point for each update, or so many of them, evenly spaced."""

_SETS_THE_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


@dataclass(frozen=True)
class RateCurve:
    """The learning rate of a group of parameters.

    Args:
        name: of the group; empty where there is but one.
        steps: int64 [P], counted from 1; with accumulation the last one of each window.
        rates: float32 [P].
    """

    name: str
    steps: np.ndarray
    rates: np.ndarray


def rate_curves(optimizer: Optimizer, length: RunLength, accumulate_steps: int) -> list[RateCurve]:
    """Return the rate of each group at the steps that update the weights.

    Args:
        optimizer: with its schedule, before the first step.
        length: of the run; one that is measured in minutes is followed for an epoch.
        accumulate_steps: micro-steps that make an update.
    """
    total_steps = length.total_steps or round(length.steps_per_epoch)
    num_updates = -(-total_steps // accumulate_steps)
    num_points = min(num_updates, MOST_POINTS)
    updates = np.unique(np.linspace(0, num_updates - 1, num_points).round().astype(np.int64))
    steps = np.minimum((updates + 1) * accumulate_steps, total_steps)
    return [RateCurve(name, steps, _rates(m, updates)) for name, m in _named_members(optimizer)]


def schedule_section(trainer: Trainer, length: RunLength, path: Path) -> Section:
    """Draw the learning rate, and return its values at the start, the peak and the end.

    Args:
        trainer: as built.
        length: of the run.
        path: of the picture, a PNG.

    Raises:
        RunFolderError: if it cannot be written.
    """
    curves = rate_curves(trainer.optimizer, length, trainer.update.accumulate_steps)
    draw(curves, length, path)
    lines = [
        f"{type(callback).__name__} may change the rate as training goes: that is not known here."
        for callback in trainer.callbacks
        if isinstance(callback, _SETS_THE_RATE)
    ]
    if length.total_steps is None:
        lines.append("The run ends by the clock: this is its first epoch.")
    return Section(
        "Learning rate",
        ("parameters", "first step", "peak", "at step", "last step"),
        [_row(curve) for curve in curves],
        lines=lines,
        picture=path.name,
    )


def draw(curves: list[RateCurve], length: RunLength, path: Path) -> None:
    """Write curves as a PNG, equal ones on top of each other with dashes.

    Raises:
        RunFolderError: if it cannot be written.
    """
    # Not through pyplot, which keeps figures and may open a window.
    from matplotlib.figure import Figure

    from trainer.report.figures import png

    figure = Figure(figsize=(7, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    for k, curve in enumerate(curves):
        marker = "o" if len(curve.steps) <= 40 else ""
        style = (0, (4, 2 * k)) if k else "-"
        axes.plot(curve.steps, curve.rates, marker=marker, markersize=3, linestyle=style,
                  label=curve.name)  # fmt: skip
    axes.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    per_epoch = length.steps_per_epoch
    epochs = axes.secondary_xaxis(
        "top",
        functions=(lambda x: np.asarray(x) / per_epoch, lambda x: np.asarray(x) * per_epoch),
    )
    epochs.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    write_whole(path, png(figure))


def _row(curve: RateCurve) -> list[str]:
    peak = int(curve.rates.argmax())
    first, last = f"{curve.rates[0]:.3g}", f"{curve.rates[-1]:.3g}"
    return [
        curve.name or "all", first, f"{curve.rates[peak]:.3g}", f"{curve.steps[peak]:,}", last,
    ]  # fmt: skip


def _named_members(optimizer: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(optimizer, Lookahead):
        return _named_members(optimizer.inner, name)
    if not isinstance(optimizer, ParameterGroups):
        return [(name, optimizer)]
    named = {"all others": optimizer.default} | optimizer.groups
    return [pair for key, member in named.items() for pair in _named_members(member, key)]


def _rates(optimizer: keras.optimizers.Optimizer, updates: np.ndarray) -> np.ndarray:
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return np.full(len(updates), float(optimizer.learning_rate), np.float32)

    # In a graph: one by one from Python, thousands of points would take seconds.
    @tf.function(autograph=False)
    def rates(steps: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda step: tf.cast(schedule(step), tf.float32), steps, fn_output_signature=tf.float32
        )

    return rates(tf.constant(updates)).numpy()
