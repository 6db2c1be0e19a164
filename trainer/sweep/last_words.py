"""Why a job's process ended, in one line: what it printed last, or the signal that killed it."""

import signal
from pathlib import Path

from trainer.log_tail import last_line


def last_words(log: Path, exit_code: int) -> str:
    """Return why a process ended with an exit code that is not 0.

    Args:
        log: what it printed; need not be there.
        exit_code: below 0: the signal that killed it.
    """
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        memory = ", as when memory runs out" if -exit_code == signal.SIGKILL else ""
        return f"killed by {name}{memory}"
    return last_line(log) or f"exit code {exit_code}, and nothing was printed"
