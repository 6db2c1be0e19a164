"""What to offer in place of a name that does not exist: the end of every such error message."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

MAX_LISTED = 8  # names that still read well in one line beside a suggestion

# What other frameworks call the settings.
ALIASES = {
    "lr": "optimizer.learning_rate",
    "wd": "optimizer.weight_decay",
    "batch": "data.batch_size",
    "bs": "data.batch_size",
    "dataset": "data",
    "epochs": "duration",
    "num_epochs": "duration",
    "max_epochs": "duration",
    "steps": "duration",
    "num_steps": "duration",
    "max_steps": "duration",
    "arch": "model",
    "network": "model",
    "exp": "experiment",
    "random_seed": "seed",
    "run_dir": "hydra.run.dir",
    "output_dir": "hydra.run.dir",
}


def closest(name: str, allowed: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the allowed name that is most like `name`, or None where none is like it.

    Args:
        name: what was given; upper and lower case are the same.
        allowed: what there is.
        cutoff: the least likeness, from 0 to 1 (`difflib`'s ratio of characters in common).
    """
    by_lower_case = {candidate.lower(): candidate for candidate in allowed}
    matches = difflib.get_close_matches(name.lower(), list(by_lower_case), n=1, cutoff=cutoff)
    return by_lower_case[matches[0]] if matches else None


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return "did you mean X?", and the names themselves if few or if none is near.

    >>> nearest("sgdd", ["adam", "sgd"])
    'did you mean sgd? Known: adam, sgd'
    >>> nearest("zebra", ["adam", "sgd"])
    'known: adam, sgd'
    """
    names = sorted(set(allowed))
    match = closest(name, names)
    if match is None:
        return f"known: {', '.join(names) or 'none'}"
    listed = f" Known: {', '.join(names)}" if 1 < len(names) <= MAX_LISTED else ""
    return f"did you mean {match}?{listed}"


def nearest_setting(key: str, known: Iterable[str]) -> str:
    """Return the suggestion for a dotted setting, which may have lost or mistaken its group.

    >>> nearest_setting("optimizer.lr", ["optimizer.learning_rate"])
    'did you mean optimizer.learning_rate?'
    >>> nearest_setting("batch_siz", ["seed", "data", "data.batch_size"])
    'did you mean data.batch_size?'

    Args:
        key: what was given.
        known: every dotted setting there is near it: for a key at the root, all of them.
    """
    known = list(known)
    group, _, name = key.rpartition(".")
    alias = ALIASES.get(name.lower(), "")
    if alias and group in ("", alias.rpartition(".")[0]):
        return f"did you mean {alias}?"
    siblings = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == group}
    anywhere = {k.rpartition(".")[2]: k for k in reversed(known)}
    for candidates in (siblings, anywhere):
        match = closest(name, candidates)
        if match is not None:
            return f"did you mean {candidates[match]}?"
    if group and not siblings:
        return f"{group} is a single value"
    return f"known: {', '.join(sorted(siblings)) or 'none'}"


def dotted_keys(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names of all settings in nested mappings, groups before what is in them.

    >>> dotted_keys({"seed": 0, "data": {"_target_": "f", "limit": None}})
    ['seed', 'data', 'data.limit']
    """
    keys = []
    for key, value in settings.items():
        if key != "_target_":
            keys.append(prefix + key)
            keys += dotted_keys(value, f"{prefix}{key}.") if isinstance(value, Mapping) else []
    return keys
