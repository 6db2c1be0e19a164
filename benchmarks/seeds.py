"""What `vectorize=seeds` saves: a sweep over seeds by the real command, with it and without."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("mlp", "tiny_inception")


def seeds(quick: bool, say: Callable[[str], None], num_seeds: int = 8) -> dict[str, Any]:
    """Train seeds of `digits` in turn and together; say and return what each took.

    Args:
        quick: two seeds and one epoch, only to see that it runs.
        say: prints a line.
        num_seeds: how many.

    Raises:
        RuntimeError: if a sweep does not end as it should.
    """
    words = ["duration=1ep"] if quick else []
    num_seeds = 2 if quick else num_seeds
    say(f"## seeds: {num_seeds} seeds of digits, in turn and with vectorize=seeds\n")
    say("| model | in turn, CPU s (wall) | together, CPU s (wall) | CPU saved |\n|---|---|---|---|")
    found: dict[str, Any] = {}
    for model in MODELS:
        in_turn, together = (
            _sweep([f"model={model}", f"seed=range({num_seeds})", f"vectorize={how}", *words])
            for how in ("null", "seeds")
        )
        found[model] = {"in_turn": in_turn, "together": together}
        say(
            f"| {model} | {in_turn['cpu']:.0f} ({in_turn['wall']:.0f}) "
            f"| {together['cpu']:.0f} ({together['wall']:.0f}) "
            f"| {in_turn['cpu'] / together['cpu']:.1f} times |"
        )
    say(f"\nload average {os.getloadavg()[0]:.1f}\n")
    return {"name": "seeds", "num_seeds": num_seeds, "models": found}


def _sweep(words: list[str]) -> dict[str, float]:
    """Run a sweep; return the CPU seconds of all its processes and its wall time."""
    with tempfile.TemporaryDirectory() as folder:
        where = f"hydra.sweep.dir={folder}/sweep"
        command = [sys.executable, "-m", "trainer", "-m", "experiment=digits", where, *words]
        before, started = _cpu_seconds(), time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        wall = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return {"cpu": _cpu_seconds() - before, "wall": wall}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
