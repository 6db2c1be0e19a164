"""The command `describe`, from its words to the files it leaves."""

import importlib.util
import re
import shutil

import keras
import pytest
import tensorflow as tf

from trainer.__main__ import entry
from trainer.describe import architecture as architecture_module
from trainer.describe.architecture import architecture, missing_programs

SMALL = ["model=mlp", "data.limit=200", "precision=float32"]
PICTURES = {"class_distribution.png", "training_images.png", "learning_rate.png"}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def without_graphviz(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_it_shows_and_writes_everything_and_trains_nothing(tmp_path, capsys, without_graphviz):
    words = [*SMALL, f"hydra.run.dir={tmp_path}", "update.accumulate_steps=2", "duration=2ep"]
    assert entry(["describe", *words]) == 0
    folder = tmp_path / "describe"
    assert {path.name for path in folder.iterdir()} == {"describe.md", "layers.csv", *PICTURES}
    assert [path.name for path in tmp_path.iterdir()] == ["describe"]
    printed = capsys.readouterr().out
    text = (folder / "describe.md").read_text()
    for title in ("Layers of mlp", "Architecture of mlp", "Memory", "Data", "Classes",
                  "Training images", "Steps", "Learning rate"):  # fmt: skip
        assert f"\n{title}" in printed and f"\n## {title}" in text
    linked = set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", text))
    assert linked == PICTURES
    rows = dict(re.findall(r"^(\w[\w ]*?)  +([\d,]+)$", printed, re.MULTILINE))
    assert (rows["steps an epoch"], rows["steps in all"], rows["updates in all"]) == (
        "6",
        "12",
        "6",
    )
    assert "No picture: Graphviz is missing: apt-get install graphviz" in printed
    assert "leaves out 8 examples" in printed


def test_a_run_folder_is_described_by_its_own_configuration(tmp_path, capsys, without_graphviz):
    assert entry([*SMALL, "duration=1st", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    run_dir = (tmp_path / "run").rename(tmp_path / "seed=3")  # as a sweep names its folders
    before = {p: p.read_bytes() for p in run_dir.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert entry(["describe", str(run_dir), "data.limit=100", "--depth", "1"]) == 0
    assert re.search(r"^train +100$", capsys.readouterr().out, re.MULTILINE)
    assert {path: path.read_bytes() for path in before} == before
    assert (run_dir / "describe" / "describe.md").exists()


def test_inputs_and_outputs_by_name_are_described(tmp_path, capsys, without_graphviz):
    words = ["experiment=two_inputs", "data.limit=64", f"hydra.run.dir={tmp_path}"]
    assert entry(["describe", *words]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"total +TwoInputs +3, 1 +7,556", printed)


WRONG = {
    "outputs/none": "outputs/none: neither KEY=VALUE nor the folder of a run",
    "optimiser=adam": "did you mean optimizer",
    "--dept=1": "describe: no option --dept=1; did you mean --depth?",
    "--depth=0": "argument --depth: 0: must be a whole number, at least 1",
}


@pytest.mark.parametrize("word", WRONG)
def test_a_wrong_word_is_answered_in_one_line(word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry(["describe", word]) == 2
    error = capsys.readouterr().err
    assert WRONG[word] in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


# ---- the architecture's picture


class Untraceable(keras.Model):
    def call(self, inputs, training=False):
        return tf.reshape(inputs, [-1, 4])


def test_missing_programs_are_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing_programs() == "pydot is missing: pip install pydot"


def test_a_model_that_takes_no_symbols_is_left_out_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(architecture_module, "missing_programs", lambda: None)
    section = architecture(Untraceable(), {"x": tf.TensorSpec([2, 2])}, tmp_path, "a.png")
    assert section.picture is None
    assert section.lines[0].startswith("No picture: this model's call does not take symbolic")
    assert "\n" not in section.lines[0]


def test_a_subclassed_model_is_drawn_by_the_layers_that_it_calls(monkeypatch, tmp_path):
    """Without Graphviz as well: what is handed to Keras to be drawn has the layers."""
    drawn = []
    monkeypatch.setattr(architecture_module, "missing_programs", lambda: None)
    monkeypatch.setattr(keras.utils, "plot_model", lambda model, *a, **k: drawn.append(model))

    class InLists(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = [keras.layers.Dense(3, name=f"dense_{k}") for k in range(2)]

        def call(self, inputs, training=False):
            for layer in self.hidden:
                inputs = layer(inputs)
            return inputs

    model = InLists()
    model(tf.zeros([1, 4]))
    section = architecture(model, {"x": tf.TensorSpec([4])}, tmp_path, "a.png")
    assert section.picture == "a.png"
    assert [layer.name for layer in drawn[0].layers] == ["x", "dense_0", "dense_1"]


@pytest.mark.skipif(missing_programs() is not None, reason=str(missing_programs()))
def test_the_picture_is_drawn_where_graphviz_is(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    assert architecture(model, {"x": tf.TensorSpec([4])}, tmp_path, "a.png").picture == "a.png"
    assert (tmp_path / "a.png").stat().st_size > 1000
