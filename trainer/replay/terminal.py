"""What is shown of a replayed step on the terminal."""

import math

from rich.console import Console
from rich.table import Table

from trainer.replay.step import Replayed
from trainer.replay.summary import Summary

_MAX_NAMED = 8
_MIN_WIDTH = 140


def show(replayed: Replayed, console: Console) -> None:
    """Print the tables, and below them what was found."""
    # A narrow terminal then wraps lines, instead of Rich folding the names to what is left.
    width = max(console.width, _MIN_WIDTH)
    wide = Console(file=console.file, width=width, highlight=False, markup=False)
    for table in (_layer_table(replayed), _variable_table(replayed)):
        wide.print(table)
        wide.print()
    for line in _findings(replayed):
        console.print(line, soft_wrap=True, markup=False)
    for note in replayed.notes:
        console.print(f"  note    {note}", soft_wrap=True, markup=False)


def _findings(replayed: Replayed) -> list[str]:
    way, start = replayed.way, replayed.way.start
    origin = f"checkpoint {start.path.name}" if start and start.path else "the run's seed"
    lines = [
        f"Step {replayed.step:,}: epoch {replayed.epoch:,}, step {replayed.position:,} of "
        f"{replayed.steps_per_epoch:,}; from {origin}, {way.num_steps:,} step(s) forward",
        f"  same?   {_comparison(replayed)}",
    ]
    if replayed.first_differing:
        step, names = replayed.first_differing
        lines += [f"          DIFFERS already at step {step:,}, in {', '.join(names)}"]
    elif replayed.num_equal:
        lines += [f"          so are {replayed.num_equal:,} step(s) on the way"]
    lines += [f"  eager   {_eager(replayed)}"]
    for key, x in replayed.inputs.items():
        lines += [f"  batch   {key} {x.summary.range_in_words}"]
        lines += _bad_examples(replayed, key)
    if replayed.broken_variables:
        lines += [f"  before  not finite before the step: {_named(replayed.broken_variables)}"]
    bad = replayed.first_bad_operation
    checks = (
        f"first bad operation: {bad.in_words()}" if bad else "every operation gave finite values"
    )
    lines += [f"  checks  {checks or 'every operation gave finite values'}"]
    return lines


def _comparison(replayed: Replayed) -> str:
    if replayed.logged is None:
        return "metrics.jsonl has no row of this step to compare with"
    if not replayed.differing:
        values = ", ".join(f"{n} {replayed.compiled[n]:g}" for n in replayed.observed.scalars)
        return f"equal to metrics.jsonl to the bit: {values}"
    pairs = (
        f"{name} {replayed.compiled[name]:.9g} here, {replayed.logged[name]:.9g} in the run"
        for name in replayed.differing
    )
    return f"DIFFERS from metrics.jsonl: {', '.join(pairs)}"


def _eager(replayed: Replayed) -> str:
    eager = replayed.observed.scalars
    far = [
        name
        for name, value in eager.items()
        if math.isfinite(value)
        and not math.isclose(
            value, replayed.compiled[name], rel_tol=replayed.tolerance, abs_tol=1e-4
        )
    ]
    values = ", ".join(f"{name} {value:g}" for name, value in eager.items())
    if not far:
        return f"{values} (rounded otherwise than the compiled step)"
    return f"{values}; NOT as compiled: {', '.join(far)}; what follows is of another step"


def _bad_examples(replayed: Replayed, key: str) -> list[str]:
    found, lines = replayed.inputs[key], []
    if found.non_finite_raw:
        lines += [f"          not finite in the data: {_positions(replayed, found.non_finite_raw)}"]
    if found.non_finite != found.non_finite_raw:
        positions = _positions(replayed, found.non_finite)
        lines += [f"          not finite as the step sees it: {positions}"]
    return lines


def _positions(replayed: Replayed, positions: list[int]) -> str:
    def name(k: int) -> str:
        known = "" if replayed.examples is None else f" (example {replayed.examples[k]} of train)"
        return f"position {k}{known}"

    return _named([name(k) for k in positions])


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _layer_table(replayed: Replayed) -> Table:
    table = _table("layer", "output", "mean", "std", "min", "max", "zeros", "not finite")
    for name, s in replayed.observed.layers:
        numbers = [f"{x:.3g}" for x in (s.mean, s.std, s.minimum, s.maximum)]
        table.add_row(
            name, _shape(s), *numbers, f"{s.zeros:.1%}", _count(s), style=_style(s.num_non_finite)
        )
    return table


def _variable_table(replayed: Replayed) -> Table:
    table = _table("variable", "shape", "weight", "gradient", "update", "ratio", "not finite")
    for v in replayed.observed.variables:
        gradient = v.gradient
        bad = [
            f"{what} {s.num_non_finite:,}"
            for what, s in (("weight", v.weight), ("gradient", gradient), ("update", v.update))
            if s and s.num_non_finite
        ]
        table.add_row(
            v.name, _shape(v.weight), f"{v.weight.norm:.3g}",
            f"{gradient.norm:.3g}" if gradient else "none", f"{v.update.norm:.3g}",
            f"{v.ratio:.2g}", ", ".join(bad), style=_style(len(bad)),
        )  # fmt: skip
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(
            column, justify="left" if k < 2 else "right", no_wrap=k > 0, overflow="fold"
        )
    return table


def _shape(summary: Summary) -> str:
    return "x".join(map(str, summary.shape)) or "scalar"


def _count(summary: Summary) -> str:
    return f"{summary.num_non_finite:,}" if summary.num_non_finite else ""


def _style(num_bad: int) -> str:
    return "red" if num_bad else ""
