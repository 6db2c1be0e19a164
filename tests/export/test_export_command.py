"""The command `export`, from its words to the files it leaves."""

import importlib
import importlib.util
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import config
from trainer.__main__ import entry
from trainer.build import build_model
from trainer.export import check as check_module
from trainer.export import fresh_process, to_savedmodel
from trainer.export.export import Exported, ExportError
from trainer.trained_model import find_weights

SMALL = [
    *("experiment=digits", "model=mlp", "data.limit=32"),
    *("data.batch_size=16", "duration=2st", "precision=mixed_bfloat16", "jit=false"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]
SUFFIXES = {"keras": ".keras", "weights": ".weights.h5", "tflite": ".tflite", "onnx": ".onnx"}


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("averaged")
    assert entry([*SMALL, "update.ema_decay=0.9", f"hydra.run.dir={run_dir}"]) == 0
    return run_dir


@pytest.fixture(scope="module")
def reference(averaged):
    """The run's model in float32 with the weights it scored, images as they come, logits."""
    cfg = config.load(averaged)
    facts = json.loads((averaged / "manifest.json").read_text())
    keras.config.set_dtype_policy("float32")
    model = build_model(cfg, facts["class_names"])
    image = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
    taken = (image / 255 - facts["standardisation"]["mean"]) / facts["standardisation"]["std"]
    model(taken.astype("float32"))
    arrays = find_weights(averaged, "best").arrays
    for variable, name in zip(model.variables, sorted(arrays), strict=True):
        variable.assign(arrays[name])
    return model, image, model(taken.astype("float32"), training=False).numpy()


def needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    reason = f"{', '.join(missing)} is not installed: pip install -e '.[export]'"
    return pytest.mark.skipif(bool(missing), reason=reason)


def exported(run_dir, output, name, *words):
    path = output / f"model{SUFFIXES.get(name, '')}"
    assert entry(["export", str(run_dir), "--format", name, "--output", str(path), *words]) == 0
    return path


@pytest.mark.parametrize(
    "name",
    [
        "savedmodel",
        pytest.param("tflite", marks=needs("ai_edge_litert")),
        pytest.param("onnx", marks=needs("onnx", "tf2onnx", "onnxruntime")),
    ],
)
def test_a_serving_file_gives_the_probabilities_of_pixels(averaged, reference, tmp_path, name):
    path = exported(averaged, tmp_path, name)
    _, image, logits = reference
    answer, facts = getattr(fresh_process, f"_{name}")(str(path))
    for batch in (image, image[:1]):
        found = answer({"image": batch})
        expected = keras.ops.softmax(logits[: len(batch)])
        assert list(found) == ["probabilities"]
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    card = json.loads(str(facts["card"]))
    assert card["class_names"] == list("0123456789") == card["outputs"][0]["class_names"]
    assert card["inputs"][0]["shape"] == [None, 8, 8, 1] and card["inputs"][0]["dtype"] == "uint8"
    assert card["weights"]["moving_average"] and "val/accuracy" in card["weights"]["scored"]
    assert card["model"]["num_classes"] == 10 and "duration=2st" in card["run"]["command"]


def test_a_tflite_file_has_the_class_names_in_it(averaged, tmp_path):
    path = exported(averaged, tmp_path, "tflite")
    with zipfile.ZipFile(path) as attached:
        assert attached.read("labels.txt").decode().split() == list("0123456789")
        assert json.loads(attached.read("card.json")) == json.loads(
            path.with_name("model.tflite.json").read_text()
        )


@needs("onnx", "tf2onnx")
def test_an_onnx_file_names_its_classes_and_its_batch_axis(averaged, tmp_path):
    onnx = importlib.import_module("onnx")
    model = onnx.load(exported(averaged, tmp_path, "onnx"))
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["class_names"].split("\n") == list("0123456789")
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_weights_come_back_into_a_model_that_was_built_anew(averaged, reference, tmp_path):
    path = exported(averaged, tmp_path, "weights")
    model, _, _ = reference
    keras.utils.set_random_seed(5)
    other = build_model(config.load(averaged), list("0123456789"))
    other(tf.zeros([1, 8, 8, 1]))
    pairs = list(zip(model.weights, other.weights, strict=True))
    assert any((a.numpy() != b.numpy()).any() for a, b in pairs)
    other.load_weights(path)
    assert len(pairs) == len(model.variables)
    for a, b in pairs:
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_keras_file_is_the_model_itself_in_float32(averaged, reference, tmp_path):
    loaded = keras.saving.load_model(exported(averaged, tmp_path, "keras"))
    model, _, _ = reference
    assert loaded.dtype_policy.name == "float32" and not loaded.compiled
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    card = json.loads((tmp_path / "model.keras.json").read_text())
    assert card["code"] == ["models.mlp"]
    assert "(pixels / 255 - mean) / std" in card["inputs"][0]["content"]
    assert "logits" in card["outputs"][0]["content"]


def test_which_weights_are_exported(averaged, tmp_path):
    arrays = find_weights(averaged, "last").arrays
    wanted = {
        "trained": {n: a for n, a in arrays.items() if n.startswith("model/")},
        "average": {n.partition("/")[2]: a for n, a in arrays.items() if n[:8] == "average/"},
    }
    words = {"trained": ["--no-ema"], "average": ["--ema"]}
    first = sorted(wanted["trained"])[0]
    assert (wanted["trained"][first] != wanted["average"][first]).any()
    for kind, extra in words.items():
        folder = tmp_path / kind
        path = exported(averaged, folder, "keras", "--weights", "last", *extra)
        values = [v.numpy() for v in keras.saving.load_model(path).variables]
        for value, name in zip(values, sorted(wanted[kind]), strict=True):
            np.testing.assert_array_equal(value, wanted[kind][name])
        card = json.loads((folder / "model.keras.json").read_text())
        assert card["weights"]["moving_average"] == (kind == "average")


# ---- the check


def test_a_fresh_process_without_the_code_agrees(averaged, tmp_path, capsys):
    exported(averaged, tmp_path, "savedmodel", "--check")
    printed = capsys.readouterr().out
    assert "without the project's code" in printed and "TensorFlow" in printed
    difference = float(printed.split("largest difference ")[1].split()[0])
    assert 0 <= difference < 1e-5
    assert "mixed_bfloat16, as the run computed, is 0.0" in printed


def test_a_fresh_process_with_the_code_has_every_variable(averaged, tmp_path, capsys):
    exported(averaged, tmp_path, "weights", "--check")
    printed = capsys.readouterr().out
    num_weights = len(find_weights(averaged, "best").arrays)
    assert f"all {num_weights} variables equal to the bit" in printed


@pytest.fixture(scope="module")
def answers(averaged):
    """A model, and what a fresh process would say of a right file of each kind."""
    trained = check_module.load_trained(averaged, "best", "float32")

    def answer(exported, batch, _):
        first = {key: array[:1] for key, array in batch.items()}
        found = {"reader": np.array("a reader"), "card": np.array(exported.card)}
        digests = [fresh_process.digest(v.numpy()) for v in trained.model.weights]
        found["weights"] = np.array(digests)
        for kind, one in (("all", batch), ("one", first)):
            if exported.name == "weights":
                found[f"{kind}/outputs"] = trained.model(one["image"]).numpy()
            else:
                found[f"{kind}/probabilities"] = check_module.ask(trained, one)["probabilities"]
        return found

    return trained, answer


@pytest.mark.parametrize(
    ("name", "key", "change", "said"),
    [
        ("savedmodel", "all/probabilities", lambda x: x + 2e-4, "the run's model by 0.0002"),
        ("savedmodel", "one/probabilities", lambda x: x + 2e-4, "the run's model by 0.0002"),
        ("savedmodel", "all/probabilities", lambda x: x * np.nan, "the run's model by inf"),
        ("savedmodel", "all/probabilities", lambda x: x[:, :1], "the run's model by inf"),
        ("savedmodel", "all/other", lambda _: np.zeros(1), "the run's model by inf"),
        ("savedmodel", "card", lambda _: np.array("{}"), "the card in the file is another one"),
        ("weights", "weights", lambda x: x[:-1], "variables came back, the model has"),
        ("weights", "weights", lambda x: np.array(["0", *x[1:]]), "came back as others, first"),
    ],
)
def test_another_model_does_not_pass(averaged, answers, monkeypatch, name, key, change, said):
    trained, answer = answers
    monkeypatch.setattr(check_module, "_in_fresh_process", answer)
    file = Exported(averaged, name, "{ }", None)
    assert check_module.check(file, trained, averaged).difference < 1e-6

    def forged(*words):
        found = answer(*words)
        return found | {key: change(found.get(key))}

    monkeypatch.setattr(check_module, "_in_fresh_process", forged)
    with pytest.raises(ExportError, match=said):
        check_module.check(file, trained, averaged)


def test_a_file_that_does_not_pass_is_not_left(averaged, tmp_path, capsys, monkeypatch):
    def is_broken(*_):
        raise ExportError("keras: another model")

    monkeypatch.setattr(check_module, "_in_fresh_process", is_broken)
    path = tmp_path / "new" / "model.keras"
    code, line = refused(capsys, averaged, "--format", "keras", "--output", path, "--check")
    assert (code, line) == (1, "keras: another model\n")
    assert not path.parent.exists()


# ---- what is refused


def refused(capsys, *words):
    code = entry(["export", *map(str, words)])
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return code, printed.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "onx"], "no format onx; did you mean onnx?"),
        ([], "the following arguments are required: --format"),
        (["--format", "keras", "--output", "model.h5"], "must end in .keras"),
        (["--format", "keras", "--emma"], "no option --emma; did you mean --ema?"),
        (["--format", "keras", "--weights", "first"], "choose from"),
        (["--format", "keras", "--no-ema"], "give --weights last"),
    ],
)
def test_wrong_words_are_one_line(averaged, capsys, words, said):
    code, line = refused(capsys, averaged, *words)
    assert code == 2 and said in line
    assert not (averaged / "export").exists()


def test_an_average_that_was_not_kept_is_refused(averaged, tmp_path, capsys):
    run_dir = shutil.copytree(averaged, tmp_path / "run")
    text = (run_dir / "config.yaml").read_text()
    (run_dir / "config.yaml").write_text(text.replace("ema_decay: 0.9", "ema_decay: null"))
    code, line = refused(capsys, run_dir, "--format", "keras", "--ema")
    assert code == 2 and "kept no moving average" in line


def test_a_missing_package_is_named(averaged, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name)
    )
    code, line = refused(capsys, averaged, "--format", "onnx")
    assert code == 2 and "tf2onnx" in line and "pip install 'tapeloop[export]'" in line


def test_what_is_there_stays_unless_told_otherwise(averaged, tmp_path, capsys, monkeypatch):
    path = exported(averaged, tmp_path, "savedmodel")
    old = path / "old"
    old.write_text("kept")
    words = [averaged, "--format", "savedmodel", "--output", path]
    capsys.readouterr()
    assert "give --overwrite" in refused(capsys, *words)[1]

    def fails(*_):
        raise RuntimeError("\nno such operation\n" + "graph\n" * 100)

    with monkeypatch.context() as patch:
        patch.setattr(to_savedmodel, "write", fails)
        code, line = refused(capsys, *words, "--overwrite")
    assert code == 1 and "savedmodel cannot hold this model: RuntimeError: no such" in line
    assert old.read_text() == "kept"
    assert entry(["export", *map(str, words), "--overwrite"]) == 0
    assert not old.exists() and (path / "saved_model.pb").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_is_full_is_one_line(averaged, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(to_savedmodel, "write", full)
    path = tmp_path / "new" / "model"
    code, line = refused(capsys, averaged, "--format", "savedmodel", "--output", path)
    assert code == 1 and "No space left on device" in line and not path.parent.exists()
