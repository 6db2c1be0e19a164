import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_run import train

from trainer.config import ConfigError
from trainer.data import digits
from trainer.trained_model import load_trained

WORDS = [
    *("duration=8st", "data.limit=64", "jit=false"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("finished")
    assert train(run_dir, *WORDS, "eval_every=4st", "update.ema_decay=0.5") == 0
    return run_dir


@pytest.fixture
def run_dir(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize("kind", ["best", "last"])
def test_a_model_comes_back_without_its_data(finished, kind, monkeypatch):
    expected = _evaluated(finished, kind)
    monkeypatch.setattr(digits, "_load", lambda: pytest.fail("the data is not needed"))
    found = load_trained(finished, kind)
    for a, b in zip(expected, found.model.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    assert found.class_names == tuple("0123456789")
    assert found.inputs["image"].shape == (8, 8, 1)
    assert found.activation == "softmax"
    assert found.labels == {None: tf.TensorSpec([], tf.int32)}


def test_a_run_that_did_not_write_down_its_labels_is_taken(run_dir):
    without("labels")(run_dir)
    assert load_trained(run_dir).labels is None


def _evaluated(run_dir, kind):
    """The weights that `evaluate` scores, by the way of the whole run."""
    from trainer import config
    from trainer.build import build
    from trainer.trained_model import find_weights

    trainer = build(config.load(run_dir), None).trainer
    trainer.load_weights(find_weights(run_dir, kind))
    return [v.numpy() for v in trainer.model.variables]


def test_images_as_they_come_are_made_what_the_model_takes(finished):
    from trainer import config
    from trainer.build import build

    data = build(config.load(finished), None).trainer.data
    raw = {"image": np.arange(128, dtype="uint8").reshape(2, 8, 8, 1)}
    here, there = (
        t.evaluation(raw)["image"] for t in (data.transform, load_trained(finished).transform)
    )
    np.testing.assert_array_equal(here, there)
    back = data.transform.unstandardise({"image": here})["image"]
    np.testing.assert_allclose(back, raw["image"] / 255, atol=1e-6)


def test_it_has_the_precision_of_its_run_and_leaves_that_of_now(run_dir):
    manifest = json.loads((run_dir / "manifest.json").read_text())
    (run_dir / "manifest.json").write_text(json.dumps(manifest | {"precision": "mixed_bfloat16"}))
    model = load_trained(run_dir).model
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_equal_weights_have_equal_fingerprints(finished):
    best, again, last = (
        load_trained(finished, kind).fingerprint for kind in ("best", "best", "last")
    )
    assert best == again
    assert (best == last) == (load_trained(finished).step == load_trained(finished, "last").step)


def without(key):
    def change(run_dir):
        path = run_dir / "manifest.json"
        facts = json.loads(path.read_text())
        del facts[key]
        path.write_text(json.dumps(facts))

    return change


def with_facts(**changed):
    def change(run_dir):
        path = run_dir / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run_dir: (run_dir / "config.yaml").unlink(), "no run folder"),
        (lambda run_dir: shutil.rmtree(run_dir / "checkpoints"), "there are no best weights"),
        (lambda run_dir: (run_dir / "manifest.json").unlink(), "does not say what the model takes"),
        (without("inputs"), "does not say what the model takes: no 'inputs'"),
        (lambda run_dir: (run_dir / "manifest.json").write_text("{"), "cannot be read"),
        (with_facts(precision="float7"), "its model cannot be built: precision='float7'"),
        (
            with_facts(inputs={"image": {"shape": [8, 8, 1], "dtype": "hat"}}),
            "its model cannot be built",
        ),
        (with_facts(labels={"": [1]}), "does not say what the model takes: its labels"),
        (with_facts(inputs={}), "its model cannot be built"),
        (with_facts(standardisation={"mean": [0.0]}), "does not say what the model takes"),
        (with_facts(standardisation={"mean": [0, 0], "std": [1, 1]}), "of 2 and 2 channels, not 1"),
        (with_facts(standardisation={"mean": [0.0], "std": [0.0]}), "finite numbers, std above 0"),
        (with_facts(standardisation={"mean": [1e999], "std": [1]}), "finite numbers, std above 0"),
    ],
)
def test_what_is_missing_is_said_in_one_line(run_dir, change, message):
    change(run_dir)
    with pytest.raises(ConfigError, match=message) as caught:
        load_trained(run_dir)
    assert "\n" not in str(caught.value)


def test_weights_of_another_model_are_refused(run_dir):
    with_facts(class_names=list("abc"))(run_dir)
    with pytest.raises(ValueError, match="does not fit this model"):
        load_trained(run_dir)
