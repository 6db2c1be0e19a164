"""Find a learning rate by a range test: lr_find [min=1e-6] [max=10] [steps=200] [KEY=VALUE ...]."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.compose import compose, divide
from trainer.config import ConfigError
from trainer.console import console, log_to_console

if TYPE_CHECKING:
    from trainer.range_test import RangeTest


def main(arguments: Sequence[str]) -> int:
    """Train with a growing learning rate, and write the losses, a picture and a suggestion.

    Args:
        arguments: what training takes (`experiment=...`, `optimizer=...`, any setting), and of its
            own `min` and `max`, the rates at the first and the last step (defaults 1e-6 and 10),
            and `steps` (default: one epoch, but from 100 to 200).

    Returns:
        0.

    Raises:
        ConfigError: in one line, for what cannot be trained with.
    """
    own, words = divide(arguments, {"min": "", "max": "", "steps": ""})
    minimum, maximum = _rate("min", own["min"] or "1e-6"), _rate("max", own["max"] or "10")
    if minimum >= maximum:
        raise ConfigError(f"min={minimum:g} max={maximum:g}: min must be below max")
    num_steps = _num_steps(own["steps"]) if own["steps"] else None
    cfg, run_dir = compose(words)

    from trainer.build import build
    from trainer.range_test import default_num_steps, range_test

    log_to_console()
    trainer = build(cfg, run_dir=None).trainer
    num_steps = num_steps or default_num_steps(trainer.run_length("1ep"))
    console.print(f"{cfg.name}: {num_steps} steps at rates from {minimum:g} to {maximum:g}")
    try:
        found = range_test(trainer, minimum, maximum, num_steps)
    except ValueError as error:
        raise ConfigError(f"lr_find: {error}") from error
    if not len(found.losses):
        raise ConfigError(f"min={minimum:g}: the loss is not finite at the first step already")
    run_dir.mkdir(parents=True, exist_ok=True)
    _write(found, run_dir)
    _print(found, run_dir)
    return 0


def _rate(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigError(f"{name}={text}: must be a learning rate, a number above 0")
    return value


def _num_steps(text: str) -> int:
    if not text.isdecimal() or int(text) < 20:
        raise ConfigError(f"steps={text}: must be a whole number, at least 20")
    return int(text)


def _suggestions(found: "RangeTest") -> dict[str, float | None]:
    """Return what to train with, by where the loss says so; two digits are all it can say."""
    rates = {"steepest": found.steepest, "tenth_of_lowest": found.tenth_of_lowest}
    return {name: rate and float(f"{rate:.2g}") for name, rate in rates.items()}


def _write(found: "RangeTest", run_dir: Path) -> None:
    from trainer.manifest import command_line

    facts = {
        "command": command_line(),
        "num_steps": len(found.losses),
        "has_diverged": found.has_diverged,
        "suggestions": _suggestions(found),
    }
    (run_dir / "lr_find.json").write_text(json.dumps(facts, indent=2) + "\n")
    with (run_dir / "lr_find.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["step", "learning_rate", "loss", "smoothed_loss"])
        columns = (found.learning_rates, found.losses, found.smoothed)
        rows.writerows([k + 1, *row] for k, row in enumerate(zip(*columns, strict=True)))
    _draw(found, run_dir / "lr_find.png")


def _draw(found: "RangeTest", path: Path) -> None:
    # Not through pyplot, which keeps figures and may open a window.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    smoothed = found.smoothed
    axes.plot(found.learning_rates, found.losses, ".", color="0.75", label="a batch")
    axes.plot(found.learning_rates, smoothed, color="C0", label="smoothed")
    names = {"steepest": "falls fastest", "tenth_of_lowest": "a tenth of the lowest's"}
    for (key, rate), style in zip(_suggestions(found).items(), ("-", "--"), strict=True):
        if rate:
            axes.axvline(rate, color="C3", linestyle=style, label=f"{names[key]}: {rate:g}")
    # The valley is what one looks for; how far the loss rises beyond it is not.
    top = smoothed[: smoothed.argmin() + 1].max()
    spread = top - smoothed.min() or 1.0
    axes.set_ylim(smoothed.min() - 0.5 * spread, top + 0.5 * spread)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def _print(found: "RangeTest", run_dir: Path) -> None:
    end = "where the loss diverged" if found.has_diverged else "the last"
    console.print(f"{len(found.losses)} steps, up to {found.learning_rates[-1]:.2g}, {end}")
    suggestions = _suggestions(found)
    if suggestions["steepest"] is None:
        console.print("  nothing to suggest: the loss did not fall; see the picture")
    else:
        console.print(f"  optimizer.learning_rate={suggestions['steepest']:<8g} falls fastest")
        console.print(
            f"  optimizer.learning_rate={suggestions['tenth_of_lowest']:<8g} "
            "a tenth of where the loss is lowest"
        )
    if found.is_cut_off:
        console.print("  the loss was still falling at the highest rate: try a higher max=")
    console.print(f"  picture {run_dir / 'lr_find.png'}", soft_wrap=True)
