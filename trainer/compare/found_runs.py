"""Which run folders the words of a command mean."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from trainer.config import ConfigError
from trainer.suggestions import nearest

_OF_A_RUN = ("config.yaml", "manifest.json", "metrics.jsonl", "checkpoints")
"""One of these is in the folder of a run, however little else is left of it."""


def run_folders(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the run folders that words name, and a line for each word's match that has none.

    Args:
        words: run folders, folders that hold them at any depth, and patterns of either.

    Raises:
        ConfigError: for a word that names nothing at all.
    """
    folders: dict[Path, Path] = {}  # the real folder to the name it was first found by
    foreign = []
    for place in (place for word in words for place in _existing(word)):
        found = _runs_in(place)
        if not found:
            foreign.append(f"{place}: not a run, and it holds none")
        for folder in found:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values()), foreign


def _existing(word: str) -> list[Path]:
    try:
        return _places(word)
    except OSError as error:  # such as a name too long
        raise ConfigError(f"{word}: cannot be read ({error.strerror})") from error


def _places(word: str) -> list[Path]:
    """Return what a word names: a sweep's folders may have characters of a pattern in their names.

    Raises:
        ConfigError: if that is nothing.
    """
    path = Path(word)
    if path.exists():
        return [path]
    try:
        found = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except ValueError as error:
        raise ConfigError(f"{word}: not a pattern of folders ({error})") from error
    if not found:
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest(path.name, [place.name for place in there if place.is_dir()])
        raise ConfigError(f"{word}: no such folder; in {path.parent}: {near}")
    return sorted(found, key=in_natural_order)


def _runs_in(place: Path) -> list[Path]:
    found = []
    for folder, below, files in os.walk(place):
        if any(name in _OF_A_RUN for name in (*below, *files)):
            found.append(Path(folder))
            below.clear()
        below[:] = [name for name in below if not name.startswith(".")]
    return sorted(found, key=in_natural_order)


def in_natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key to sort paths by: `run9` before `run10`."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part), "") if k % 2 else (0, part) for k, part in enumerate(parts)]
