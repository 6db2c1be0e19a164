import re

import pytest

from trainer.disk import RunFolderError
from trainer.run_folder import RUN_FOLDER
from trainer.sweep_folder import SWEEP_FOLDER

CASES = [
    (SWEEP_FOLDER, "sweep.json"),
    (SWEEP_FOLDER, "journal.log"),
    (SWEEP_FOLDER, "logs/seed=0.log"),
    (RUN_FOLDER, "config.yaml"),
    (RUN_FOLDER, "checkpoints/00000010"),
]


def make(folder, own):
    for name in own.folders:
        (folder / name).mkdir(parents=True)


@pytest.mark.parametrize("own", [SWEEP_FOLDER, RUN_FOLDER])
def test_a_folder_that_is_not_there_or_is_of_before_will_do(own, tmp_path):
    own.check(tmp_path / "none")
    make(tmp_path, own)
    for name in (name for each, name in CASES if each is own):
        (tmp_path / name).write_text("{}")
    own.check(tmp_path)


@pytest.mark.parametrize(("own", "name"), CASES)
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_the_place_of_a_file_is_refused(own, name, exists, tmp_path):
    folder, target = tmp_path / "folder", tmp_path / "somebody's"
    make(folder, own)
    if exists:
        target.write_text("mine")
    (folder / name).symlink_to(target)
    with pytest.raises(RunFolderError, match=re.escape(f"{name}: a link, where {own.owner} has")):
        own.check(folder)


@pytest.mark.parametrize("own", [SWEEP_FOLDER, RUN_FOLDER])
def test_what_is_neither_file_nor_folder_is_refused(own, tmp_path):
    name = own.files[0].rstrip("*")
    (tmp_path / name).mkdir()
    with pytest.raises(RunFolderError, match=f"{re.escape(name)}: not a file"):
        own.check(tmp_path)
    (tmp_path / name).rmdir()
    (tmp_path / own.folders[0]).touch()
    with pytest.raises(RunFolderError, match=f"{own.folders[0]}: not a folder"):
        own.check(tmp_path)


def test_folders_stand_only_where_a_run_keeps_folders(tmp_path):
    (tmp_path / "checkpoints" / "00000010").mkdir(parents=True)
    RUN_FOLDER.check(tmp_path)
    (tmp_path / "logs" / "seed=0.log").mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"seed=0\.log: not a file"):
        SWEEP_FOLDER.check(tmp_path)
