"""The best setting as a command line, to train it again or for longer."""

import shlex

from trainer.compare.groups import Group

_START = ("python", "-m", "trainer")
_PLACES = ("hydra.mode", "hydra.run.dir", "hydra.sweep.dir", "seed", "resume", "workers", "sweep")
"""What says where and how often it is trained, and not what."""
_SWEEP = ("-m", "--multirun")


def best_command(group: Group) -> str | None:
    """Return the command that trained a group, without its seed and folder.

    Returns:
        None if the manifest has none, or it is of a sweep over options, which do not say what a
        single job was.
    """
    words = words_of(group)
    return None if words is None else shlex.join([*_START, *words])


def words_of(group: Group) -> list[str] | None:
    """Return the words of that command, after `python -m trainer`; None where there is none."""
    command = group.runs[0].manifest.get("command")
    if not isinstance(command, str) or not command.isprintable():
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if tuple(words[: len(_START)]) != _START:
        return None
    is_sweep = any(word in _SWEEP for word in words)
    settings = [w for w in words[len(_START) :] if w not in _SWEEP and not _is_place(_name(w))]
    if is_sweep:
        swept = {_name(word) for word in settings if "," in word}
        if not swept <= group.settings.keys():
            return None
        settings = [
            f"{_name(word)}={group.settings[_name(word)]}" if _name(word) in swept else word
            for word in settings
        ]
    return settings


def _is_place(name: str) -> bool:
    return name in _PLACES or name.startswith("sweep.")


def _name(word: str) -> str:
    return word.partition("=")[0].lstrip("+")
