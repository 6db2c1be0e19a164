"""Jobs without a training behind them."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from trainer.sweep.job import Job

CONFIG = {"duration": "4ep", "monitor": "val/accuracy", "data": {"batch_size": 8}}


@dataclass(frozen=True)
class ScriptJob(Job):
    """Its process runs Python code of the test's."""

    script: str = ""

    @property
    def command(self):
        return [sys.executable, "-c", self.script]


def job(folder: Path, name: str, script: str = "") -> ScriptJob:
    return ScriptJob(
        name=name,
        label=name,
        words=(),
        run_dir=folder / name,
        log=folder / "logs" / f"{name}.log",
        config=CONFIG,
        script=script,
    )


@dataclass
class FakeHandle:
    """A process that ends when the test says so, or when it is asked to stop."""

    code: int | None = None
    stops: int = 0

    def exit_code(self):
        return self.code

    def stop(self):
        self.stops += 1
        self.code = 75

    def where(self):
        return "nowhere"


@dataclass
class FakeExecutor:
    """Starts jobs that end at once with the exit codes that are given, 0 by default."""

    num_workers: int = 1
    codes: dict = field(default_factory=dict)
    started: list = field(default_factory=list)
    handles: dict = field(default_factory=dict)
    most_at_once: int = 0

    def start(self, job):
        self.started.append(job.name)
        handle = FakeHandle(self.codes.get(job.name, 0))
        self.handles[job.name] = handle
        running = sum(h.code is None for h in self.handles.values())
        self.most_at_once = max(self.most_at_once, running)
        return handle

    def close(self):
        pass
