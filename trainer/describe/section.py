"""A part of a description: a table, lines and a picture, for the terminal and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Section:
    """A part of a description.

    Args:
        title: of the part.
        columns: of the table; the first is of names, the others of values, aligned to the right.
        rows: as many texts each; empty: no table.
        total: a last row, set apart.
        lines: below the table.
        picture: name of a file beside the description.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    total: Sequence[str] = ()
    lines: list[str] = field(default_factory=list)
    picture: str | None = None

    def show(self, console: Console) -> None:
        """Print it; pictures are listed at the end of the whole description."""
        console.print(f"\n[bold]{escape(self.title)}[/bold]")
        if self.rows:
            table = Table(box=None, pad_edge=False, show_header=any(self.columns))
            for k, name in enumerate(self.columns):
                table.add_column(escape(name), justify="right" if k else "left", overflow="fold")
            for row in self.rows:
                table.add_row(*map(escape, row))
            if self.total:
                table.add_row(*map(escape, self.total), style="bold")
            console.print(table)
        for line in self.lines:
            console.print(line, markup=False)

    def markdown(self) -> str:
        """Return it as Markdown, the picture linked."""
        parts = [f"## {self.title}"]
        if self.rows:
            table = [_cells(self.columns), _cells(["---", *["---:"] * (len(self.columns) - 1)])]
            table += [_cells([_indented(row[0]), *row[1:]]) for row in self.rows]
            if self.total:
                table.append(_cells([f"**{cell}**" if cell else "" for cell in self.total]))
            parts.append("\n".join(table))
        if self.picture:
            parts.append(f"![{self.title}]({self.picture})")
        return "\n\n".join([*parts, *self.lines]) + "\n"


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _indented(name: str) -> str:
    depth = len(name) - len(name.lstrip())
    return "&nbsp;" * 2 * depth + name.lstrip()


def in_bytes(number: float) -> str:
    """Return a number of bytes in words, in powers of 1024: `23.4 MiB`."""
    return _scaled(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def in_short(number: float) -> str:
    """Return a large number in words, in powers of 1000: `1.03 G`."""
    return _scaled(number, 1000, ("", "k", "M", "G", "T", "P")).rstrip()


def _scaled(number: float, base: int, units: Sequence[str]) -> str:
    power = 0
    while number >= 0.9995 * base and power < len(units) - 1:
        number, power = number / base, power + 1
    return f"{number:.3g} {units[power]}" if power else f"{number:,.0f} {units[0]}"
