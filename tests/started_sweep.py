"""A sweep in a process of its own, and what it leaves behind."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def start(folder, *words):
    """Start a sweep into `folder`, at the head of a session of its own; it prints to a log beside.

    Returns:
        Its process.
    """
    command = [sys.executable, "-m", "trainer", "-m", *words, f"hydra.sweep.dir={folder}"]
    with (folder.parent / "sweep.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def run_folders(folder):
    return sorted(path.parent for path in folder.glob("*/metrics.jsonl"))


def processes_of(folder):
    """The processes that train in the run folders of a sweep; one has several with vectorize."""
    locks = [lock.read_text() for lock in folder.glob("*/lock")]  # empty: nobody does
    return {json.loads(text)["process"] for text in locks if text}
