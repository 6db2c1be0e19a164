"""Which options are too large for the fast suite, by the size that their first comment states."""

import itertools
import re
from pathlib import Path

CONF = Path(__file__).resolve().parent.parent / "conf"
MODELS = sorted((CONF / "model").glob("*.yaml"))
LARGE = 20.0  # million parameters; larger models take minutes to trace, save and load


def stated_millions(path):
    """The millions of parameters in an option file's first comment, as text; None if none."""
    lines = path.read_text().splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    found = re.search(r"([\d.]+) M parameters", " ".join(line.lstrip("# ") for line in comment))
    return found and found[1]


def is_large(path):
    return float(stated_millions(path) or 0) > LARGE
