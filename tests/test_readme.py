"""The README's code runs and its commands are valid."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_experiments import composed

from trainer import help as help_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ONE_LINE_EACH = re.sub(r"\\\n *", "", README)
COMMANDS = sorted(
    set(re.findall(r"^python -m trainer ?(.*?)(?:  +#.*)?$", ONE_LINE_EACH, re.MULTILINE))
)


def test_the_notebook_trains():
    code = re.search(r"<!-- notebook -->\n```python\n(.*?)```", README, re.DOTALL)[1]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *progress, history = result.stdout.splitlines()
    assert len(progress) == 5
    assert all("val_accuracy" in line for line in progress)
    assert json.loads(history)[-1] > 0.8


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_valid(command):
    words = shlex.split(command)
    if words and "=" not in words[0] and not words[0].startswith("-"):
        assert words[0] in help_page.command_names()
    else:
        # Of several values the first; a range has none, and a search's own test composes it.
        plain = [word for word in words if not word.startswith("-") and "(" not in word]
        composed(*(word if "{" in word else word.split(",")[0] for word in plain))


def test_the_map_names_folders_that_are_there():
    for folder in re.findall(r"^\| `([a-z/]+/)` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir()


def test_the_test_command_is_the_one_that_ci_runs():
    assert "<!-- test command -->" in README
    assert "test command" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w./]+\.(?:py|md|yaml))`", README))))
def test_the_files_it_names_are_there(name):
    if "my_" not in name and name != "config.yaml":
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "trainer"))
