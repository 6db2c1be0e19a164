"""Ctrl-C, SIGTERM and SIGUSR1 ask a run to stop after the current chunk, with its state saved."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""The last is what Slurm's `--signal=USR1@60` sends before the time is up."""
EXIT_CODE_INTERRUPTED = 75
"""EX_TEMPFAIL of sysexits.h: try again, the run can be resumed."""


class StopRequestedError(Exception):
    """Raised where something that can be done again later was stopped half-way."""


class StopRequest:
    """Within its context, the first signal is noted; a second one acts as it always does."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequest":
        # Python lets only the main thread handle signals; elsewhere they stay as they are.
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
