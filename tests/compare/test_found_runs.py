import pytest
from runs_made_up import make_run

from trainer.compare.found_runs import run_folders
from trainer.config import ConfigError


@pytest.fixture
def runs(tmp_path):
    names = ["lr=0.1,seed=10", "lr=0.1,seed=9", "deep/er/[run]"]
    return [make_run(tmp_path / "all" / name, step=1) for name in names]


def test_folders_patterns_and_folders_of_folders_mean_the_same_runs(tmp_path, runs):
    ten, nine, deep = runs
    assert run_folders([str(tmp_path)]) == ([deep, nine, ten], [])
    assert run_folders([str(tmp_path / "all" / "lr=*")]) == ([nine, ten], [])
    assert run_folders([str(deep)]) == ([deep], [])
    assert run_folders([str(ten), str(tmp_path), str(ten / ".." / ten.name)])[0] == [
        ten,
        deep,
        nine,
    ]


def test_relative_words(tmp_path, runs, monkeypatch):
    monkeypatch.chdir(tmp_path / "all")
    assert [str(folder) for folder in run_folders(["lr=*9"])[0]] == ["lr=0.1,seed=9"]
    assert len(run_folders(["."])[0]) == 3


def test_what_is_no_run_is_named(tmp_path, runs):
    (tmp_path / "all" / "notes.txt").write_text("x")
    (tmp_path / "all" / "empty" / ".hidden").mkdir(parents=True)
    (tmp_path / "all" / "empty" / ".hidden" / "config.yaml").write_text("x")
    found, foreign = run_folders([str(tmp_path / "all" / "*")])
    assert len(found) == 3
    assert foreign == [
        f"{tmp_path}/all/{name}: not a run, and it holds none" for name in ("empty", "notes.txt")
    ]


def test_a_run_that_lost_its_config_is_found(tmp_path, runs):
    (runs[0] / "config.yaml").unlink()
    assert runs[0] in run_folders([str(tmp_path)])[0]


@pytest.mark.parametrize("word", ["x" * 300, "x" * 300 + "*"])
def test_a_word_too_long_is_refused(word):
    with pytest.raises(ConfigError, match=r"xxx\*?: cannot be read \(File name too long"):
        run_folders([word])


@pytest.mark.parametrize("word", ["lr=0.1,seed=1", "nothing*", "no/such/*", ""])
def test_a_word_that_names_nothing_is_refused(tmp_path, runs, word):
    with pytest.raises(ConfigError, match="no such folder") as error:
        run_folders([f"{tmp_path}/all/x/{word}" if word == "" else f"{tmp_path}/all/{word}"])
    if word.startswith("lr"):
        assert "did you mean lr=0.1,seed=10?" in str(error.value)
