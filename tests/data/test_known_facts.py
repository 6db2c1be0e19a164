import pytest

from trainer.data import known_facts
from trainer.data.known_facts import known


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tapeloop"


def refuse():
    raise AssertionError


def test_a_fact_is_found_out_once(folder):
    assert known("size", lambda: {"size": [1, 2]}) == {"size": [1, 2]}
    assert known("size", refuse) == {"size": [1, 2]}
    assert [path.name for path in folder.iterdir()] == ["size.json"]


def test_facts_of_other_keys_are_others():
    assert [known(key, lambda key=key: key) for key in "ab"] == ["a", "b"]


def test_a_torn_file_is_written_again(folder):
    folder.mkdir()
    (folder / "size.json").write_text('{"si')
    assert known("size", lambda: 3) == 3
    assert known("size", refuse) == 3


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "tapeloop").write_text("a file")
    assert known("size", lambda: 3) == 3


def test_the_folder_is_in_the_home_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(known_facts.Path, "home", lambda: tmp_path / "home")
    known("size", lambda: 3)
    assert (tmp_path / "home" / ".cache" / "tapeloop" / "size.json").exists()
