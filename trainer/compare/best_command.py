"""The best setting as a command line, to train it again or for longer."""

import shlex

from trainer.compare.groups import Group

_START = ("python", "-m", "trainer")
_PLACES = ("hydra.run.dir", "hydra.sweep.dir", "seed", "resume")
_SWEEP = ("-m", "--multirun")


def best_command(group: Group) -> str | None:
    """Return the command that trained a group, without its seed and folder.

    Returns:
        None if the manifest has none, or it is of a sweep over options, which do not say what a
        single job was.
    """
    command = group.runs[0].manifest.get("command")
    if not isinstance(command, str) or not command.isprintable():
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if tuple(words[:3]) != _START:
        return None
    settings = [word for word in words[3:] if word not in _SWEEP]
    if len(settings) < len(words) - 3:
        swept = [word.partition("=")[0].lstrip("+") for word in settings if "," in word]
        if any(name not in group.settings for name in swept if name not in _PLACES):
            return None
        settings = [
            f"{name}={group.settings[name]}" if (name := word.partition("=")[0]) in swept else word
            for word in settings
        ]
    kept = [word for word in settings if word.partition("=")[0] not in _PLACES]
    return shlex.join([*_START, *kept])
