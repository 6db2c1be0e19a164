"""Which options are too large for the fast suite, by the size that their first line states."""

import re
from pathlib import Path

CONF = Path(__file__).resolve().parent.parent / "conf"
MODELS = sorted((CONF / "model").glob("*.yaml"))
LARGE = 20.0  # million parameters; larger models take minutes to trace, save and load


def stated_millions(path):
    """The millions of parameters in the first line of an option file, as text; None if none."""
    found = re.search(r"([\d.]+) M parameters", path.read_text().partition("\n")[0])
    return found and found[1]


def is_large(path):
    return float(stated_millions(path) or 0) > LARGE
