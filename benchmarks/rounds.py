"""All contenders of a workload in turn, round by round."""

import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measure import Child, Settings, measure
from benchmarks.memory import memory
from benchmarks.tables import Row, memory_table, table
from benchmarks.workloads import WORKLOADS, Contender, Workload

NUM_CHUNKS, NUM_CHUNKS_QUICK = (200, 2000), (5, 20)
NUM_IMAGES, NUM_IMAGES_QUICK = 50_000, 256

Say = Callable[[str], None]


def compare(name: str, keys: Sequence[str] | None, settings: Settings, say: Say) -> dict[str, Any]:
    """Measure a workload, and say its table.

    Args:
        name: of the workload.
        keys: of the contenders to measure; None for all.
        settings: how.
        say: prints a line.

    Returns:
        What `--json` writes: the rows with the rates of every round, and the load average before
        each.
    """
    workload = WORKLOADS[name]
    say(f"## {name}: {workload.title}\n")
    with tempfile.TemporaryDirectory() as folder:
        if name == "folder":
            settings = replace(settings, root=_class_folders(settings, Path(folder)))
        rows, loads = _measure(workload, keys, settings, say)
    say("\n" + table(workload, rows) + "\n")
    return {"workload": name, "loads": loads, "rows": [asdict(row) for row in rows]}


def grow(settings: Settings, say: Say) -> dict[str, Any]:
    """Measure the memory of our loop after 200 and after 2,000 chunks; see `compare`."""
    num_chunks = NUM_CHUNKS_QUICK if settings.quick else NUM_CHUNKS
    say("## memory: our loop on the tiny MLP, 64 steps a chunk, everything recorded\n")
    rows = {}
    for jit in (False,) if settings.quick else (False, "auto"):
        child = Child(memory, jit, num_chunks)
        try:
            answer = child.answer()
        except RuntimeError as error:
            say(f"jit={jit}: {error}")
            continue
        finally:
            num_compilations = child.close()
        rows[f"jit={jit}"] = answer["memory_bytes"], answer["num_traces"], num_compilations
    say(memory_table(num_chunks, rows) + "\n")
    return {"workload": "memory", "rows": rows}


def _measure(
    workload: Workload, keys: Sequence[str] | None, settings: Settings, say: Say
) -> tuple[list[Row], list[float]]:
    contenders = [c for c in workload.contenders if keys is None or c.key in keys]
    rows = {c.key: Row(c.key, c.title, problem=_missing(c)) for c in contenders}
    loads: list[float] = []
    children: dict[str, Child] = {}
    try:
        for contender in contenders:
            row = rows[contender.key]
            if row.problem is None:
                children[row.key] = Child(measure, workload.name, contender, settings)
                _try(row, children, children[row.key].answer)
        for number in range(1, settings.rounds + 1):
            loads.append(os.getloadavg()[0])
            say(f"round {number} of {settings.rounds}, load average {loads[-1]:.1f}")
            for key in list(children):
                turn = _try(rows[key], children, partial(children[key].ask, "turn"))
                if turn:
                    rows[key].rates.append(turn / workload.examples_per_unit)
        for key in list(children):
            facts = _try(rows[key], children, partial(children[key].ask, None))
            if facts:
                rows[key].peak_bytes = facts["peak_bytes"]
                rows[key].num_traces = facts["num_traces"]
    finally:
        for key, child in children.items():
            rows[key].num_compilations = child.close()
    return list(rows.values()), loads


def _try(row: Row, children: dict[str, Child], call: Callable[[], Any]) -> Any:
    """Return what a child answers; note a failure in its row, and go on without it."""
    try:
        return call()
    except RuntimeError as error:
        row.problem = str(error)
        row.rates = []
        children.pop(row.key).close()
        return None


def _missing(contender: Contender) -> str | None:
    if contender.needs is None or importlib.util.find_spec(contender.needs[0]):
        return None
    return f"not installed: {contender.needs[1]}"


def _class_folders(settings: Settings, empty: Path) -> Path:
    """Return what holds the class folders; without `--root`, fill `empty` with JPEG files."""
    if settings.root is None:
        return _write_jpegs(empty, NUM_IMAGES_QUICK if settings.quick else NUM_IMAGES)
    if not settings.root.is_dir():
        raise ValueError(f"--root={settings.root}: not a folder; expected class folders in it")
    train = settings.root / "train"
    return train if train.is_dir() else settings.root


def _write_jpegs(folder: Path, num_images: int) -> Path:
    """Write 32x32 images, smooth as photographs are, in ten class folders."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (folder / f"class_{label}").mkdir()
    for k in range(num_images):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        image = coarse.resize((32, 32), Image.Resampling.BICUBIC)
        image.save(folder / f"class_{k % 10}" / f"{k:05d}.jpg", quality=95)
    return folder
