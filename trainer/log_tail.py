"""What a process printed last, from its log."""

import re
from pathlib import Path

from trainer.printable import printable

_TAIL = 1 << 14
_LONGEST = 600  # of a line, in characters
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty, as it may be shown; empty without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = _CONTROL.sub("", file.read().decode(errors="replace"))
    except OSError:
        return ""
    # A progress bar goes back to the beginning of its line.
    lines = [line for line in re.split(r"[\r\n]", text) if line.strip()]
    line = printable(lines[-1].strip()) if lines else ""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
