"""Why a job's process ended, in one line: what it printed last, or the signal that killed it."""

import signal
from pathlib import Path

from trainer.log_tail import last_line


def last_words(log: Path, exit_code: int, begun_at: int = 0) -> str:
    """Return why a process ended with an exit code that is not 0.

    Args:
        log: what it printed; need not be there.
        exit_code: below 0: the signal that killed it.
        begun_at: how many bytes of the log are of attempts before.
    """
    if exit_code < 0:
        known = {member.value: member.name for member in signal.Signals}
        name = known.get(-exit_code, f"signal {-exit_code}")
        memory = ", as when memory runs out" if -exit_code == signal.SIGKILL else ""
        return f"killed by {name}{memory}"
    printed = last_line(log) if size_of(log) > begun_at else ""
    return printed or f"exit code {exit_code}, and nothing was printed"


def size_of(log: Path) -> int:
    """Return how many bytes a log has; 0 if it is not there."""
    try:
        return log.stat().st_size
    except OSError:
        return 0
