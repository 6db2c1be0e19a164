"""The layers as a table: what they are called with and what they cost."""

import csv
import io

from trainer.describe.flops import COUNTED
from trainer.describe.layer_calls import ForwardPass, LayerCall, Shape
from trainer.describe.section import Section, in_short

MOST_ROWS = 40
"""The depth that nobody chose is the largest with so many rows at most."""


def layer_table(found: ForwardPass, depth: int | None = None) -> Section:
    """Return the table of a model's layers.

    Args:
        found: what the model does.
        depth: how far layers within layers are shown, at least 1; default: as far as the table
            has 40 rows at most.
    """
    calls = [call for call in found.root.walk() if call.depth]
    deepest = max((call.depth for call in calls), default=1)
    if depth is None:
        fitting = [d for d in range(1, deepest + 1) if _num_rows(calls, d) <= MOST_ROWS]
        depth = max(fitting, default=1)
    root = found.root
    lines = [f"FLOPs: of the forward pass for one example; {COUNTED}."]
    outside = (root.flops or 0) - sum(call.flops or 0 for call in root.inner)
    if outside:
        lines.append(f"{in_short(outside)} FLOPs of the total are the model's own, in no layer.")
    if found.num_loops:
        lines.append(f"What runs within {found.num_loops} loops or conditions is not counted.")
    if any(call.flops is None for call in calls):
        lines.append("Layers without FLOPs are not called by the model itself.")
    if deepest > depth:
        lines.append(f"Layers within layers: --depth N, up to {deepest}; layers.csv has them all.")
    return Section(
        f"Layers of {root.layer.name}",
        ("layer", "type", "output", "trainable", "frozen", "FLOPs"),
        [_row(call) for call in calls if call.depth <= depth],
        ("total", *_row(root)[1:]),
        lines,
    )


def as_csv(found: ForwardPass) -> bytes:
    """Return all layers, at any depth, as a CSV file."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    columns = ("layer", "depth", "type", "output", "trainable", "frozen", "flops")
    rows.writerow([*columns, "called_before"])

    def write(call: LayerCall, path: str) -> None:
        path = f"{path}/{call.layer.name}".lstrip("/")
        rows.writerow(
            [path, call.depth, type(call.layer).__name__, _shapes(call.output_shapes),
             call.num_trainable, call.num_frozen, "" if call.flops is None else call.flops,
             int(call.is_repeated)]
        )  # fmt: skip
        for inner in call.inner:
            write(inner, path)

    write(found.root, "")
    return file.getvalue().encode()


def _num_rows(calls: list[LayerCall], depth: int) -> int:
    return sum(call.depth <= depth for call in calls)


def _row(call: LayerCall) -> list[str]:
    counts = [f"{n:,}" if n else "" for n in (call.num_trainable, call.num_frozen)]
    if call.is_repeated and any(counts):
        counts = ["as above", ""]
    return [
        "  " * (call.depth - 1) + call.layer.name,
        type(call.layer).__name__,
        _shapes(call.output_shapes),
        *counts,
        in_short(call.flops) if call.flops else "",
    ]


def _shapes(shapes: list[Shape]) -> str:
    return ", ".join("x".join(str(n or "?") for n in shape) or "scalar" for shape in shapes)
