"""What of Hydra's own settings may be set: not those by which it runs code beside our checks.

Hydra builds `hydra.callbacks`, its launcher and its sweeper by itself, and Python's logging calls
what a `()` or a `class` in its configuration names, all before a run begins. It has a list of names
that it refuses, far from complete.
"""

import functools
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]

from trainer.targets import LISTED, in_yaml, is_listed, nodes

LOGGING = ("job_logging", "hydra_logging")
_PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")
_RERUN = "--experimental-rerun"


def refused_word(words: Sequence[str]) -> str | None:
    """Return the line that refuses a flag of the command line, or None.

    Args:
        words: the command line; a flag may be shortened to any unique beginning.
    """
    for word in words:
        if word.startswith("--e") and _RERUN.startswith(word.partition("=")[0]):
            return f"{word}: runs whatever code is in the file; give the run's settings instead"
    return None


def refused_hook(hydra: Mapping[str, Any]) -> str | None:
    """Return the line that refuses something in the composed `hydra` node, or None.

    Args:
        hydra: plain containers; interpolations are resolved in `launcher` and `sweeper` alone.
    """
    for name in hydra.get("callbacks") or {}:
        return (
            f"hydra.callbacks.{name}: Hydra would run it unchecked; "
            "callbacks.NAME._target_=... are the callbacks of a run"
        )
    for kind in LOGGING:
        if hydra.get(kind) not in _options(kind):
            return (
                f"hydra.{kind}: logging may call any function; only Hydra's own options are taken, "
                f"unchanged, such as hydra/{kind}=none"
            )
    for path, node in nodes(hydra, "hydra"):
        target = node["_target_"]
        may_be_plugin = path in ("hydra.launcher", "hydra.sweeper")
        is_plugin = may_be_plugin and str(target).startswith(_PLUGINS)
        if not is_plugin and not is_listed(str(target)):
            return (
                f"{path}._target_={in_yaml(target)}: Hydra would build it unchecked; choose a "
                f"hydra/launcher or hydra/sweeper that is a plugin, or list it in {LISTED}"
            )
    for name in hydra.get("job", {}).get("env_set") or {}:
        return f"hydra.job.env_set.{name}: set environment variables in the shell instead"
    subdir = hydra.get("output_subdir")
    if subdir is not None and not re.fullmatch(r"\.?\w[\w-]*", subdir):
        return (
            f"hydra.output_subdir={subdir}: must be the name of one folder, such as .hydra, or null"
        )
    return None


@functools.cache
def _options(kind: str) -> list[Any]:
    """Return Hydra's own options of a logging group."""
    folder = importlib.resources.files("hydra.conf") / "hydra" / kind
    files = (file for file in folder.iterdir() if file.name.endswith(".yaml"))
    return [yaml.safe_load(file.read_text()) for file in files]
