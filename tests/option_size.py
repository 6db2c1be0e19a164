"""Which options are too large for the fast suite, by the size that their first line states."""

import re
from pathlib import Path

import pytest
import yaml

CONF = Path(__file__).resolve().parent.parent / "conf"
MODELS = sorted((CONF / "model").glob("*.yaml"))
LARGE = 20.0  # million parameters; larger models take minutes to trace, save and load


def stated_millions(path):
    """The millions of parameters in the first line of an option file, as text; None if none."""
    found = re.search(r"([\d.]+) M parameters", path.read_text().partition("\n")[0])
    return found and found[1]


def is_large(path):
    return float(stated_millions(path) or 0) > LARGE


def slow_if_large(value, model):
    """A test's parameter, for the slow suite if `model`, an option's path, is large."""
    return pytest.param(value, marks=[pytest.mark.slow] if is_large(model) else [])


def model_of(experiment):
    """The path of the model option that an experiment chooses."""
    chosen = {"override /model": "mini_inception"}
    for entry in yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())[
        "defaults"
    ]:
        chosen |= entry if isinstance(entry, dict) else {}
    return CONF / "model" / f"{chosen['override /model']}.yaml"
