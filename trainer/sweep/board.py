"""Where a sweep stands: a line for each job, in place on a terminal, one by one elsewhere."""

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainer.console import console, print_lines
from trainer.printable import printable
from trainer.sweep.job import FAILED, FINISHED, PRUNED, STOPPED, Job, Outcome
from trainer.sweep.watched_run import WatchedRun

ELSEWHERE = "elsewhere"
"""The state of a job that another process runs."""
_WAITING, _RUNNING = "waiting", "running"
_LOOK_SECONDS = 2.0
_STYLES = {FINISHED: "green", FAILED: "red", STOPPED: "yellow", PRUNED: "dim", _WAITING: "dim"}
_ORDER = (_RUNNING, ELSEWHERE, FAILED, STOPPED, FINISHED, PRUNED, _WAITING)
"""Of the lines, should the terminal have too few for all."""


class _Line:
    """What is known of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.state = _WAITING
        self.run: WatchedRun | None = None
        self.outcome: Outcome | None = None


class Board:
    """Shows the jobs of a sweep; a context within which it is redrawn.

    Args:
        num_jobs: of the sweep, with those that are not known yet.
        num_workers: jobs side by side.
        metric: whose best value is shown, such as `val/accuracy`.
        mode: `max` or `min`: what of it is best.
        jobs: that are known from the start.
        others: returns the jobs that other processes run or have ended, each with its state; those
            of this process may be among them. None: there are no others.
        every_seconds: how often a line on the whole is written where there is no terminal.
    """

    def __init__(
        self,
        num_jobs: int,
        num_workers: int,
        metric: str,
        mode: str,
        jobs: Sequence[Job] = (),
        others: Callable[[], Iterable[tuple[Job, str]]] | None = None,
        every_seconds: float = 60.0,
    ) -> None:
        self._num_jobs, self._num_workers = num_jobs, num_workers
        self._metric, self._mode = metric, mode
        self._lines = {job.name: _Line(job) for job in jobs}
        self._every_seconds = every_seconds
        self._others = others
        self._last_shown = self._last_looked = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> "Board":
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()
            self.show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def known(self, job: Job, state: str) -> None:
        """Take note of a job that another process runs, or has ended with a state."""
        line = self._lines.setdefault(job.name, _Line(job))
        if line.outcome or line.run:
            return  # it is this process' own
        line.state, line.outcome = state, None if state == ELSEWHERE else Outcome(state)

    def started(self, job: Job, where: str, run: WatchedRun) -> None:
        """Show that a job runs."""
        line = self._lines.setdefault(job.name, _Line(job))
        line.state, line.run = _RUNNING, run
        self._print(f"{job.label}: started ({where})")

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Show how a job ended."""
        line = self._lines[job.name]
        line.state, line.outcome = outcome.state, outcome
        said = [outcome.state, self._best(line), outcome.reason, in_words(outcome.seconds)]
        self._print(f"{job.label}: {'  '.join(filter(None, said))}")
        self._look_at_others()
        self._print(self._total())

    def show(self) -> None:
        """Redraw the lines; where there is no terminal, write one on the whole now and then."""
        if time.monotonic() - self._last_looked > _LOOK_SECONDS:
            self._look_at_others()
        if self._live:
            self._live.update(self._drawing())
        elif time.monotonic() - self._last_shown > self._every_seconds:
            self._print(self._total())

    def _look_at_others(self) -> None:
        self._last_looked = time.monotonic()
        for job, state in self._others() if self._others else ():
            self.known(job, state)

    def _print(self, text: str) -> None:
        if self._live is None:
            print_lines(text)
            self._last_shown = time.monotonic()

    def _drawing(self) -> Group:
        table = Table.grid(padding=(0, 2))
        lines = sorted(self._lines.values(), key=lambda line: _ORDER.index(line.state))
        room = max(1, console.height - 3)
        for line in lines[:room]:
            cells = (line.job.label, line.state, self._progress(line), self._best(line))
            time_or_reason = self._time(line)
            style = _STYLES.get(line.state, "")
            table.add_row(*(_cell(text, style) for text in (*cells, time_or_reason)))
        more = [Text(f"... and {len(lines) - room} more")] if len(lines) > room else []
        return Group(table, *more, Text(self._total(), style="bold"))

    def _progress(self, line: _Line) -> str:
        if line.run is None:
            return ""
        return f"epoch {line.run.epoch:.1f}".removesuffix(".0") + f"  {line.run.share_done:.0%}"

    def _best(self, line: _Line) -> str:
        value = line.run.best(self._metric, self._mode) if line.run else None
        return "" if value is None else f"best {self._metric} {value:.4f}"

    def _time(self, line: _Line) -> str:
        if line.outcome:
            before = "" if line.outcome.seconds else "before"
            return line.outcome.reason or (in_words(line.outcome.seconds) or before)
        left = line.run.seconds_left if line.run else None
        return "" if left is None else f"ETA {clock(left)}"

    def _total(self) -> str:
        states = [line.state for line in self._lines.values()]
        counts = {state: states.count(state) for state in _ORDER if state != _WAITING}
        parts = [f"{count} {state}" for state, count in counts.items() if count]
        left = self._num_jobs - sum(counts.values())
        parts += [f"{left} to come"] if left > 0 else []
        seconds = self._seconds_left(max(0, left))
        return (
            f"{self._num_jobs} jobs: "
            + ", ".join(parts)
            + (f"; ETA {clock(seconds)}" if seconds else "")
        )

    def _seconds_left(self, num_waiting: int) -> float | None:
        """Return how long the sweep will go on, if its jobs go on as they have until now."""
        lines = self._lines.values()
        ended = [line.outcome.seconds for line in lines if line.outcome and line.outcome.seconds]
        now = [line.run.seconds_left for line in lines if line.state == _RUNNING and line.run]
        if not ended and (num_waiting or None in now):
            return None
        a_job = sum(ended) / len(ended) if ended else 0.0
        # One that has just been started is taken for one like those before.
        known = [a_job if seconds is None else seconds for seconds in now]
        at_once = min(self._num_workers, max(1, len(known) + num_waiting))
        # No sooner than the longest of those that run.
        return max([(sum(known) + num_waiting * a_job) / at_once, *known])


def _cell(text: str, style: str) -> Text:
    # On one line: with more of them than it was given, a terminal would lose the total.
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def clock(seconds: float) -> str:
    """Return a time as `1:02:03`."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def in_words(seconds: float) -> str:
    """Return how long something took, such as `12.3 s` or `1:02:03`; "" for 0."""
    if not seconds:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)
