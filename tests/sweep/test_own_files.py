import re

import pytest

from trainer.disk import RunFolderError
from trainer.sweep.own_files import check_own_files


def test_a_folder_that_is_not_there_or_is_a_sweep_of_before_will_do(tmp_path):
    check_own_files(tmp_path / "none")
    (tmp_path / "logs").mkdir()
    for name in ("sweep.json", "journal.log", "logs/seed=0.log"):
        (tmp_path / name).write_text("{}")
    check_own_files(tmp_path)


@pytest.mark.parametrize("name", ["sweep.json", "journal.log", "logs/seed=0.log"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_where_a_sweep_has_a_file_is_refused(tmp_path, name, exists):
    sweep, target = tmp_path / "sweep", tmp_path / "somebody's"
    (sweep / "logs").mkdir(parents=True)
    if exists:
        target.write_text("mine")
    (sweep / name).symlink_to(target)
    with pytest.raises(RunFolderError, match=re.escape(f"{name}: a link")):
        check_own_files(sweep)


def test_what_is_neither_file_nor_folder_is_refused(tmp_path):
    (tmp_path / "journal.log").mkdir()
    with pytest.raises(RunFolderError, match=r"journal\.log: not a file"):
        check_own_files(tmp_path)
    (tmp_path / "journal.log").rmdir()
    (tmp_path / "logs").touch()
    with pytest.raises(RunFolderError, match="logs: not a folder"):
        check_own_files(tmp_path)
