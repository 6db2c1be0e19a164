"""A run folder for each test to damage."""

import shutil
from pathlib import Path

import pytest
from hostile_run_folder import WORDS
from test_run import train


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("finished")
    assert train(run_dir, *WORDS) == 0
    return run_dir


@pytest.fixture
def run_dir(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def elsewhere(tmp_path):
    """A file of the user that no run may touch."""
    path = tmp_path / "elsewhere"
    path.write_text("mine\n")
    yield path
    assert path.read_text() == "mine\n"
