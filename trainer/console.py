"""What a person reads: log lines on the terminal, above a progress bar where there is one."""

import logging
import threading
from pathlib import Path

from rich.console import Console

from trainer.printable import printable

console = Console(highlight=False)
"""The one console: lines printed through it do not tear a live progress bar."""

_LOGGER = logging.getLogger("trainer")


def print_lines(*lines: str, style: str | None = None, soft_wrap: bool = True) -> None:
    """Print lines of which parts may be anybody's: no markup, no control characters.

    Args:
        *lines: each one line.
        style: of rich, such as `yellow`.
        soft_wrap: leave long lines whole, so that paths and commands in them can be copied.
    """
    for line in lines:
        console.print(printable(line), style=style, markup=False, soft_wrap=soft_wrap)


class ConsoleHandler(logging.Handler):
    """Prints records on the console, one line each, unwrapped."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; warnings in yellow, errors in red."""
        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno)
        console.print(self.format(record), style=style, markup=False, soft_wrap=True)


def log_to_console() -> None:
    """Show the `trainer` log on the console, unless the program has set up logging itself."""
    if not _LOGGER.hasHandlers():
        _LOGGER.addHandler(ConsoleHandler())
    _LOGGER.setLevel(logging.INFO)


class LogFile(logging.FileHandler):
    """A log file without which a run goes on, should the disk be full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave the record out: it was on the terminal as well."""


def log_to_file(path: Path) -> logging.Handler:
    """Also appends the `trainer` log to a file; returns the handler, to be closed with the run."""
    handler = LogFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.current_thread()
    if thread is not threading.main_thread():  # one of several runs in this process
        handler.addFilter(lambda record: record.thread == thread.ident)
    _LOGGER.addHandler(handler)
    return handler
