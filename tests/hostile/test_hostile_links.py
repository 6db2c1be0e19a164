"""Links, pipes and folders in place of a run's files, which nothing is written through."""

import os
import shutil

import pytest
from hostile_run_folder import NEWEST, best, evaluate, resume

FILES = [
    *("config.yaml", "manifest.json", "metrics.jsonl", "train.log", "lock", NEWEST, "best"),
    *("checkpoints/step_000000006.partial", "train events"),
]


WRITTEN = ("lock", "metrics.jsonl", "train.log", "train events")


def named(run_dir, name):
    if name == "best":
        return best(run_dir)
    return next((run_dir / "train").glob("*.tapeloop")) if "events" in name else run_dir / name


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_refused_and_nothing_written_through_it(
    name, run_dir, elsewhere, capsys
):
    path = named(run_dir, name)
    path.unlink(missing_ok=True)
    path.symlink_to(elsewhere)
    for call in (resume, evaluate) if name in WRITTEN else (evaluate,):
        assert f"{path}: a link, where a run has a file of its own" in call(run_dir, capsys, 1)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_dangling_link_is_refused_and_its_target_not_made(name, run_dir, tmp_path, capsys):
    path = named(run_dir, name)
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "not there")
    assert f"{path}: a link" in resume(run_dir, capsys, 1)
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", ["config.yaml", "manifest.json", "metrics.jsonl", "lock"])
def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(make, name, run_dir, capsys):
    (run_dir / name).unlink()
    make(run_dir / name)
    for call in (resume, evaluate) if name in WRITTEN else (evaluate,):
        assert f"{run_dir / name}: not a file" in call(run_dir, capsys, 1)


@pytest.mark.parametrize("name", ["checkpoints", "train", "val"])
def test_a_file_in_place_of_a_folder_is_refused(name, run_dir, capsys):
    shutil.rmtree(run_dir / name)
    (run_dir / name).write_text("mine")
    for call in (resume, evaluate) if name == "train" else (evaluate,):
        assert f"{run_dir / name}: not a folder" in call(run_dir, capsys, 1)


def test_the_run_folder_and_its_folders_may_be_links(run_dir, tmp_path, capsys):
    (run_dir / "checkpoints").rename(tmp_path / "large disk")
    (run_dir / "checkpoints").symlink_to(tmp_path / "large disk")
    (tmp_path / "link").symlink_to(run_dir)
    resume(tmp_path / "link", capsys, 0)
    evaluate(tmp_path / "link", capsys, 0)
