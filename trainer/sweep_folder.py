"""The names that a sweep uses in its folder, and `sweep.json`, which says what it varies."""

import json
from collections.abc import Sequence
from pathlib import Path

from trainer.disk import write_whole
from trainer.own_files import OwnFiles

NAME = "sweep.json"
JOURNAL = "journal.log"
SWEEP_FOLDER = OwnFiles(
    owner="a sweep",
    folders=("logs",),
    files=(f"{NAME}*", f"{JOURNAL}*", "logs/*"),
    either=(),
    otherwise="choose another sweep.name",
)


def describe_sweep(folder: Path, varied: Sequence[str]) -> None:
    """Write which settings a sweep varies, added to those that it varied before.

    Each run shows these on TensorBoard's HParams page.

    Args:
        folder: of the sweep; made if it is not there.
        varied: names of settings and groups, as typed.
    """
    names = dict.fromkeys([*varied_in(folder), *varied])
    write_whole(folder / NAME, json.dumps({"varied": list(names)}, indent=2).encode() + b"\n")


def varied_in(folder: Path) -> list[str]:
    """Return the names of what the sweep of a folder varies; none if it does not say."""
    try:
        varied = json.loads((folder / NAME).read_text())["varied"]
        return [str(name) for name in varied] if isinstance(varied, list) else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
