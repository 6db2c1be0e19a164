"""The same command goes on with a run; another one is refused unless it says which side wins."""

import json

import pytest
from test_run import train

from trainer.same_run import differences

SHORT = "duration=2st"


@pytest.fixture
def begun(tmp_path):
    assert train(tmp_path, SHORT) == 0
    return tmp_path


def test_differences_name_keys_and_both_values():
    there = {"a": 1, "group": {"b": True, "gone": None}, "resume": "same"}
    here = {"a": 1, "group": {"b": False, "new": [2]}, "resume": "command"}
    assert differences(there, here) == [
        "group.b: true there, false here",
        "group.gone: null there, absent here",
        "group.new: absent there, [2] here",
    ]


def test_other_settings_are_refused_with_the_keys_and_the_ways_out(begun, capsys):
    before = (begun / "config.yaml").read_text()
    assert train(begun, "duration=4st", "optimizer.momentum=0.5") == 2
    error = capsys.readouterr().err
    for difference in ("duration: 2st there, 4st here", "optimizer.momentum: 0.9 there, 0.5 here"):
        assert difference in error
    assert "resume=folder" in error
    assert "resume=command" in error
    assert error.count("\n") == 1
    assert (begun / "config.yaml").read_text() == before


def test_the_command_wins_if_told_so(begun, caplog):
    assert train(begun, "duration=4st", "resume=command") == 0
    assert "now at step 4" in caplog.text
    assert train(begun, "duration=4st") == 0


def test_the_folder_wins_if_told_so(begun, caplog):
    assert train(begun, "duration=4st", "seed=3", "resume=folder") == 0
    assert "gone on as the folder says: seed: 0 there, 3 here" in caplog.text
    assert "now at step 2" in caplog.text
    assert "seed: 0" in (begun / "config.yaml").read_text()


def test_other_examples_are_refused(begun, capsys):
    manifest = json.loads((begun / "manifest.json").read_text())
    manifest["data"]["train"]["fingerprint"] = "another"
    (begun / "manifest.json").write_text(json.dumps(manifest))
    assert train(begun, SHORT) == 2
    assert "data: the train split holds other examples" in capsys.readouterr().err


def test_another_machine_is_said(begun, caplog):
    manifest = json.loads((begun / "manifest.json").read_text())
    manifest["cpus"] = 96
    (begun / "manifest.json").write_text(json.dumps(manifest))
    assert train(begun, SHORT) == 0
    expected = "other conditions, so that results may differ in their last bits: cpus: 96 there"
    assert expected in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_manifest_is_said_and_healed(begun, content, caplog):
    (begun / "manifest.json").write_text(content)
    assert train(begun, SHORT) == 0
    assert "manifest.json cannot be read; it is written anew" in caplog.text
    assert json.loads((begun / "manifest.json").read_text())["seed"] == 0


@pytest.mark.parametrize("content", ["", "{", "a: [", "just text", "seed: x", "- 1"])
def test_a_damaged_config_is_one_line(begun, content, capsys):
    (begun / "config.yaml").write_text(content)
    assert train(begun, SHORT) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "config.yaml" in error
