"""What took a pass over many files to find out, kept for the next run in the user's cache folder.

One small JSON file a fact, `$XDG_CACHE_HOME/tapeloop/KEY.json` (by default in `~/.cache`). The key
digests what the fact was derived from, so a file is never out of date, and any may be deleted.
"""

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


def known(key: str, find_out: Callable[[], Any]) -> Any:
    """Return the fact kept under `key`, else what `find_out` returns, and keep it.

    Args:
        key: letters, digits and _; equal only where the fact is.
        find_out: returns plain values, as JSON gives them back.

    Raises:
        ValueError: if the key would name a file elsewhere.
    """
    if not re.fullmatch(r"\w+", key):
        raise ValueError(f"key={key!r}: only letters, digits and _, since it names a file")
    path = _folder() / f"{key}.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):  # not there yet, or torn
        fact = find_out()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(fact))
        beside.replace(path)
    except OSError as error:  # such as a read-only home: the next run finds out again
        logger.debug("%s: cannot be kept: %s", path, error)
    return fact


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tapeloop"
