import pytest

from trainer.disk import RunFolderError, write_whole


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_beside_is_replaced_and_not_followed(exists, tmp_path):
    mine = tmp_path / "mine"
    if exists:
        mine.write_text("mine")
    (tmp_path / "file.partial").symlink_to(mine)
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new" and not (tmp_path / "file").is_symlink()
    assert mine.read_text() == "mine" if exists else not mine.exists()


def test_what_a_killed_run_left_beside_is_replaced(tmp_path):
    (tmp_path / "file.partial").write_bytes(b"half of what was longer")
    write_whole(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_what_cannot_be_written_is_one_line_and_the_file_before_stays(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "file.partial").mkdir()
    with pytest.raises(RunFolderError, match="file: cannot be written") as caught:
        write_whole(tmp_path / "file", b"new")
    assert "\n" not in str(caught.value) and (tmp_path / "file").read_bytes() == b"before"
