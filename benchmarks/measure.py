"""One contender in a process of its own: no leaked policy, and a peak of memory that is its own."""

import contextlib
import importlib
import math
import multiprocessing
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.workloads import Contender

COMPILATION = re.compile(r"^.*device_compilation_profiler.*\] Compiled ", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """How a workload is measured.

    Attributes:
        rounds: how often each contender has its turn.
        seconds: what a turn lasts at least.
        quick: take a fraction of the data: to see that it runs, not how fast.
        root: the class folders of the `folder` workload.
    """

    rounds: int
    seconds: float
    quick: bool
    root: Path | None = None


class Child:
    """A function that runs in a fresh process and talks over a pipe.

    Args:
        function: called there with a `Connection` and `arguments`.
        arguments: can be pickled.
    """

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_main, args=(theirs, self._log.name, function, arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, question: Any) -> Any:
        """Send a question and return the answer.

        Raises:
            RuntimeError: if the process failed; the message is its error's.
        """
        self._connection.send(question)
        return self.answer()

    def answer(self) -> Any:
        """Return the next answer; see `ask`."""
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"died with exit code {self._process.exitcode}") from None
        if isinstance(answer, Exception):
            raise RuntimeError(str(answer).splitlines()[0])
        return answer

    def close(self) -> int:
        """End the process; return how many XLA compilations its log tells of."""
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        with self._log:
            return len(COMPILATION.findall(Path(self._log.name).read_text(errors="replace")))


def _main(
    connection: Connection, log: str, function: Callable[..., None], arguments: tuple
) -> None:
    # Before TensorFlow starts: it then tells of each XLA compilation.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    os.environ["TF_CPP_VMODULE"] = "device_compilation_profiler=1"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            function(connection, *arguments)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def measure(
    connection: Connection, workload: str, contender: Contender, settings: Settings
) -> None:
    """Warm up, then answer each question with the examples a second of a turn; in a child.

    The first epoch compiles and is not counted; the second tells how many epochs make a turn. A
    question `None` is answered with `{"peak_bytes": ..., "num_traces": ...}`.
    """
    from trainer import precision

    precision.set_policy(contender.precision)
    work: Any = settings.root
    if workload != "folder":
        from benchmarks.problems import PROBLEMS

        work = PROBLEMS[workload](settings.quick)
    module, _, name = contender.target.partition(":")
    subject = getattr(importlib.import_module(module), name)(work, **contender.arguments)
    subject.run(1)
    num_examples, seconds = _timed(subject.run, 1)
    num_epochs = math.ceil(settings.seconds / seconds)
    connection.send("ready")
    while connection.recv() is not None:
        num_examples, seconds = _timed(subject.run, num_epochs)
        connection.send(num_examples / seconds)
    facts = {"peak_bytes": peak_bytes(), "num_traces": getattr(subject, "num_traces", None)}
    connection.send(facts)


def peak_bytes() -> int:
    """Return the most memory that this process has had, as the system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if os.uname().sysname == "Darwin" else 1024 * peak


def _timed(run: Callable[[int], int], num_epochs: int) -> tuple[int, float]:
    started = time.perf_counter()
    num_examples = run(num_epochs)
    return num_examples, time.perf_counter() - started
