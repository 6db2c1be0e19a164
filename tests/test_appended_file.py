import pytest

from trainer.appended_file import AppendedFile
from trainer.disk import RunFolderError


def whole_lines(content):
    return content.rfind(b"\n") + 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "curve.txt"


@pytest.fixture
def position(path):
    """Of a file with two lines, to which a third was appended later."""
    file = AppendedFile(path, None, whole_lines)
    file.write(b"one\ntwo\n")
    position = file.position()
    file.write(b"three\n")
    file.close()
    return position


def go_on(path, position):
    file = AppendedFile(path, position, whole_lines)
    file.write(b"four\n")
    end = file.position()
    file.close()
    return end


def test_what_came_after_the_position_is_cut_off(path, position, caplog):
    end = go_on(path, position)
    assert path.read_bytes() == b"one\ntwo\nfour\n"
    assert not caplog.text
    assert go_on(path, end)["length"] == len(path.read_bytes())


def test_without_a_position_it_begins_anew(path, position):
    go_on(path, None)
    assert path.read_bytes() == b"four\n"


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        (b"one\nt", b"one\nfour\n"),
        (b"one\ntwX\nthree\n", b"one\ntwX\nfour\n"),
        (b"", b"four\n"),
    ],
    ids=["cut", "changed", "emptied"],
)
def test_a_damaged_file_is_kept_beside_and_said(path, position, damaged, expected, caplog):
    path.write_bytes(damaged)
    end = go_on(path, position)
    assert path.read_bytes() == expected
    assert path.with_name("curve.txt.damaged").read_bytes() == damaged
    assert "curve.txt is not as the checkpoint left it" in caplog.text
    caplog.clear()
    go_on(path, end)
    assert not caplog.text


def test_a_file_that_is_gone_is_begun_anew_and_said(path, position, caplog):
    path.unlink()
    go_on(path, position)
    assert path.read_bytes() == b"four\n"
    assert "not as the checkpoint left it (0 bytes of 8" in caplog.text


def test_a_full_disk_is_one_line(tmp_path):
    file = AppendedFile(tmp_path / "curve.txt", None, whole_lines)
    file._file.close()
    file._file = open("/dev/full", "ab")  # noqa: PTH123, SIM115
    with pytest.raises(RunFolderError, match=r"curve.txt: cannot be written \(No space left"):
        file.write(b"x")


def test_what_is_written_can_be_read_at_once(path):
    file = AppendedFile(path, None, whole_lines)
    file.write(b"one\n")
    assert path.read_bytes() == b"one\n"
    file.close()
