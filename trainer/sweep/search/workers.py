"""Which of the processes that share a search still live, on this machine and on others."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

BEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
PREFIX = "worker:"
"""Before a worker's name: the attribute of the study in which it counts its beats."""


class Worker:
    """This process, as others know it.

    Args:
        beat: stores a number of beats under a name.
        name: None: that of this process, which no other has.
        clock: in seconds; only differences count.
    """

    def __init__(
        self,
        beat: Callable[[str, int], None],
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name or f"{_place()}:{os.getpid()}:{_started(os.getpid())}"
        self._beat, self._clock = beat, clock
        self._beats, self._last = 0, -float("inf")

    def beat(self) -> None:
        """Show the others, now and then, that this process lives."""
        if self._clock() - self._last >= BEAT_SECONDS:
            self._beats += 1
            self._beat(PREFIX + self.name, self._beats)
            self._last = self._clock()


class Liveness:
    """Judges other workers: by their process if it is of this machine, else by their beats.

    No clock of another machine is looked at: whoever does not beat while this process looks on
    for a minute is dead.

    Args:
        clock: in seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[object, float]] = {}

    def is_alive(self, name: str, beats: Mapping[str, object]) -> bool:
        """Return whether a worker lives.

        Args:
            name: of the worker; "" is of nobody.
            beats: the attributes of the study, read just now.
        """
        if not name:
            return False
        place, _, process = name.partition(":")
        if place == _place():
            pid, _, started = process.partition(":")
            return pid.isdecimal() and _started(int(pid)) == started
        beat, now = beats.get(PREFIX + name), self._clock()
        if name not in self._seen or self._seen[name][0] != beat:
            self._seen[name] = (beat, now)
        return now - self._seen[name][1] < DEAD_AFTER_SECONDS


_OWN_PLACE = uuid.uuid4().hex[:12]


def _place() -> str:
    """Return what names the processes by number: this start of this machine, or a container of it.

    Where that cannot be told, as on macOS, each process is a place of its own, judged by beats.
    """
    host = socket.gethostname().replace(":", "_")
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        space = Path("/proc/self/ns/pid").readlink().name.partition("[")[2].rstrip("]")
    except OSError:
        return f"{host}-{_OWN_PLACE}"
    return f"{host}-{boot}-{space}"


def _started(pid: int) -> str:
    """Return when a process started, which tells it from a later one of the same number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else ticks  # killed, and not yet fetched by its parent
