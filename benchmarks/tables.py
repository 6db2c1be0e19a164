"""Figures as Markdown tables."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.workloads import Workload


@dataclass
class Row:
    """What was measured of one contender.

    Attributes:
        key: the contender's.
        title: the contender's.
        rates: steps or images a second, one value a round.
        peak_bytes: the process' peak of memory.
        num_traces: of the training step; None where it is not ours.
        num_compilations: by XLA.
        problem: why there are no figures.
    """

    key: str
    title: str
    rates: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    num_traces: int | None = None
    num_compilations: int = 0
    problem: str | None = None


def ratio(row: Row, references: Sequence[Row]) -> float | None:
    """Return the median over the rounds of a row's rate over the fastest reference's.

    The references are compared by their medians; the ratios are of the same round, since a machine
    that is slow for a while is slow for both.
    """
    measured = [reference for reference in references if reference.rates]
    if not measured or not row.rates:
        return None
    fastest = max(measured, key=lambda reference: statistics.median(reference.rates))
    return statistics.median(
        rate / other for rate, other in zip(row.rates, fastest.rates, strict=True)
    )


def table(workload: Workload, rows: Sequence[Row]) -> str:
    """Return a workload's table."""
    header = ["", f"{workload.unit}/s", *workload.references, "peak MB", "traces", "XLA compiled"]
    lines = []
    for row in rows:
        if row.problem:
            lines.append([row.title, row.problem, *[""] * (len(header) - 2)])
            continue
        ratios = [
            ratio(row, [other for other in rows if other.key in keys])
            for keys in workload.references.values()
        ]
        lines.append(
            [
                row.title,
                _figure(statistics.median(row.rates)),
                *("" if r is None else f"{r:.2f}" for r in ratios),
                f"{row.peak_bytes / 1e6:,.0f}",
                "" if row.num_traces is None else str(row.num_traces),
                str(row.num_compilations),
            ]
        )
    return markdown(header, lines)


def memory_table(
    num_chunks: tuple[int, int], rows: Mapping[str, tuple[dict[int, int], dict[str, int], int]]
) -> str:
    """Return the table of memory growth.

    Args:
        num_chunks: after how many chunks memory was read.
        rows: title to memory in bytes by number of chunks, traces by step, XLA compilations.
    """
    first, last = num_chunks
    header = [
        "",
        f"MB after {first:,} chunks",
        f"MB after {last:,}",
        "growth, MB",
        "traces of training",
        "of evaluation",
        "XLA compiled",
    ]
    lines = [
        [
            title,
            f"{memory[first] / 1e6:,.1f}",
            f"{memory[last] / 1e6:,.1f}",
            f"{(memory[last] - memory[first]) / 1e6:+,.1f}",
            str(traces["train"]),
            str(traces["test"]),
            str(num_compilations),
        ]
        for title, (memory, traces, num_compilations) in rows.items()
    ]
    return markdown(header, lines)


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned as text, too."""
    cells = [list(header), *map(list, lines)]
    # A row without figures must not widen the columns of the others.
    widths = [
        max([len(row[k]) for row in cells if k == 0 or row[-1]], default=0)
        for k in range(len(header))
    ]
    rule = ["-" * width if k == 0 else "-" * (width - 1) + ":" for k, width in enumerate(widths)]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])])


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
