"""What is seen of one step: layers, operations, gradients and updates; and what is kept of it."""

import io
import json
import pdb

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console
from test_recovery import BAD_STEP, poisoned_data
from test_replay import (
    NO_CHECKPOINTS,
    NO_ROWS,
    keep_checkpoints,
    names_from_the_beginning,  # noqa: F401
    replayed,
    stochastic_trainer,
)
from toy import BATCH_SIZE, toy_model, toy_trainer

from trainer import distribution
from trainer.data.data import Data
from trainer.nonfinite import NonFiniteError
from trainer.replay import report, terminal
from trainer.replay.logged import LoggedSteps, differing
from trainer.replay.rebuild import Rebuilding
from trainer.replay.step import replay_step
from trainer.replay.summary import summarise
from trainer.replay.way import way_to
from trainer.trainer import Trainer


def at_first_step(*layers, kind=Trainer, step=1, **arguments):
    trainer = toy_trainer(kind, model=toy_model(*layers), **arguments)
    rebuilding = Rebuilding(trainer, way_to(step - 1, NO_CHECKPOINTS, None), NO_ROWS)
    rebuilding.run()
    return replay_step(rebuilding)


def test_a_planted_nan_is_found_in_the_data_and_in_the_first_operation(tmp_path):
    run = toy_trainer(data=poisoned_data(), run_dir=tmp_path)
    with pytest.raises(NonFiniteError):
        run.fit("1ep")
    keras.utils.clear_session()
    keep_checkpoints(tmp_path, {})
    found = replayed(toy_trainer(data=poisoned_data()), tmp_path, BAD_STEP)
    assert found.inputs["features"].non_finite == [3]
    assert found.inputs["features"].non_finite_raw == [3]
    data = poisoned_data()
    features = data.feed("train").arrays["features"].numpy()
    assert np.isnan(features[found.examples[3]]).all()
    bad = found.first_bad_operation
    assert (bad.op, bad.place.layer, bad.gradient_of) == ("MatMul", "dense", "")
    assert bad.inputs[0].num_non_finite == 4
    assert found.num_equal == BAD_STEP - 1


class LogOf(keras.layers.Layer):
    def call(self, inputs):
        return tf.math.log(inputs)


class Masked(keras.layers.Layer):
    """Softmax over a mask of -inf, which is as it should be."""

    def call(self, inputs):
        return tf.nn.softmax(tf.where(inputs > 0, inputs, -np.inf))


class Root(keras.layers.Layer):
    def call(self, inputs):
        return tf.sqrt(tf.nn.relu(inputs))


def test_a_layer_that_makes_a_nan_is_named():
    bad = at_first_step(keras.layers.Dense(4), Masked(), LogOf()).first_bad_operation
    assert (bad.op, bad.place.layer, bad.gradient_of) == ("Log", "log_of", "")
    assert bad.place.code == "return tf.math.log(inputs)"
    assert bad.place.line.startswith("tests/test_replay_observation.py:")
    assert bad.inputs[0].minimum == 0
    assert bad.output.num_non_finite > 0
    assert bad.has_finite_inputs
    assert bad.in_words().startswith("Log, layer log_of, tests/test_replay_observation.py:")


def test_a_layer_whose_gradient_is_a_nan_is_named():
    found = at_first_step(keras.layers.Dense(4), Root())
    assert np.isfinite(found.compiled["loss"])
    bad = found.first_bad_operation
    assert (bad.gradient_of, bad.place.layer) == ("Sqrt", "root")
    assert bad.place.code == "return tf.sqrt(tf.nn.relu(inputs))"
    broken = [v.name for v in found.observed.variables if v.gradient.num_non_finite]
    assert "dense/kernel" in broken
    assert "dense_2/kernel" not in broken


def test_variables_that_were_broken_before_are_named():
    trainer = toy_trainer()
    trainer.model.trainable_variables[1].assign(np.full(8, np.nan))
    found = replay_step(Rebuilding(trainer, way_to(0, NO_CHECKPOINTS, None), NO_ROWS))
    assert found.broken_variables == [trainer.model.trainable_variables[1].path]
    assert found.first_bad_operation.op == "BiasAdd"


def test_a_finite_step_has_no_bad_operation():
    found = at_first_step(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    assert found.first_bad_operation is None
    assert found.broken_variables == []
    assert not any(x.non_finite or x.non_finite_raw for x in found.inputs.values())


class Block(keras.Model):
    """A nested subclassed model, one of whose layers is called twice."""

    def __init__(self):
        super().__init__(name="block")
        self.inner = [keras.layers.Dense(4, name="inner")]
        self.relu = keras.layers.ReLU(name="relu")

    def call(self, inputs):
        return self.relu(self.inner[0](self.relu(inputs)))


def test_layers_are_seen_in_call_order_with_their_numbers():
    trainer = toy_trainer(model=toy_model(Block()))
    found = replay_step(Rebuilding(trainer, way_to(0, NO_CHECKPOINTS, None), NO_ROWS))
    names = [name for name, _ in found.observed.layers]
    assert names == ["dense", "block/relu", "block/inner", "block/relu (call 2)", "dense_1"]
    fresh = toy_trainer(model=toy_model(Block()))
    outputs = fresh.model.layers[0](found.batch["features"]).numpy()
    seen = found.observed.layers[0][1]
    assert seen.shape == (BATCH_SIZE, 8)
    expected = [outputs.mean(), outputs.std(), outputs.min(), outputs.max()]
    np.testing.assert_allclose([seen.mean, seen.std, seen.minimum, seen.maximum], expected, 1e-5)
    assert seen.zeros == np.mean(outputs == 0) > 0


def test_variables_have_the_norms_of_weight_gradient_and_update():
    rate = 0.5
    found = at_first_step(optimizer=keras.optimizers.SGD(rate))
    total = 0.0
    for v in found.observed.variables:
        assert v.update.norm == pytest.approx(rate * v.gradient.norm, rel=1e-3)
        total += v.gradient.norm**2
    assert np.sqrt(total) == pytest.approx(found.compiled["gradient_norm"], rel=1e-4)
    kernel = found.observed.variables[0]
    assert kernel.name.endswith("dense/kernel")
    assert kernel.ratio == pytest.approx(kernel.update.norm / kernel.weight.norm)


class OwnRule(Trainer):
    """Learns by the sign of the gradient, and names its scalars otherwise."""

    def train_step(self, batch):
        with tf.GradientTape() as tape:
            logits = self.model(batch["features"], training=True)
            cost = tf.reduce_mean(self.loss(batch["label"], logits))
        weights = self.model.trainable_variables[:2]
        self.updater.take([tf.sign(g) for g in tape.gradient(cost, weights)], weights)
        return {"cost": cost}


def test_a_training_rule_of_ones_own_is_observed():
    found = at_first_step(kind=OwnRule, optimizer=keras.optimizers.SGD(0.1))
    assert set(found.compiled) == {"cost"}
    kernel, _, *others = found.observed.variables
    assert kernel.gradient.maximum == 1
    assert all(v.gradient is None and v.update.norm == 0 for v in others)


def test_several_replicas_give_the_gradient_of_the_whole_batch():
    def found(strategy):
        with strategy.scope():
            return at_first_step(strategy=strategy, optimizer=keras.optimizers.SGD(0.1))

    one, two = found(distribution.single_device()), found(distribution.mirrored(2))
    for ours, theirs in zip(two.observed.variables, one.observed.variables, strict=True):
        assert ours.gradient.norm == pytest.approx(theirs.gradient.norm, rel=1e-4)
        assert ours.update.norm == pytest.approx(theirs.update.norm, rel=1e-3)
    assert two.observed.layers[0][1].shape == (BATCH_SIZE // 2, 8)
    assert len(two.observed.layers) == len(one.observed.layers)


def test_everything_that_watched_is_gone_afterwards():
    call, draw = keras.layers.Layer.__call__, tf.random.stateless_uniform
    trainer = toy_trainer(jit=True)
    replay_step(Rebuilding(trainer, way_to(0, NO_CHECKPOINTS, None), NO_ROWS))
    assert keras.layers.Layer.__call__ is call
    assert tf.random.stateless_uniform is draw
    assert not {"take", "train_step"} & (vars(trainer).keys() | vars(trainer.updater).keys())
    tf.math.log(-1.0)


# ---- numbers and pictures


def test_a_summary_is_of_the_finite_values():
    found = summarise(np.array([[0, 3, np.nan], [4, 0, np.inf]], np.float32))
    assert (found.minimum, found.maximum, found.norm, found.zeros) == (0, 4, 5, 0.5)
    assert found.num_non_finite == 2
    assert found.counts.sum() == 4


@pytest.mark.parametrize(
    "array", [[], [np.nan], [0.0], [3.0, 3.0], [1e300, -1e300], [1e-300], np.arange(5)]
)
def test_any_array_has_a_summary_that_can_be_drawn(array):
    found = summarise(np.array(array))
    assert np.isfinite(found.edges).all()
    assert (np.diff(found.edges) > 0).all()


def test_rows_that_cannot_be_read_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1,"train/loss":0.5}\n[1]\n{"step":2,"train/loss":null}\n\xff{"st')
    logged = LoggedSteps(path)
    assert logged.last_step == 2
    assert logged.scalars(1, ["loss"]) == {"loss": 0.5}
    assert logged.scalars(1, ["loss", "cost"]) is None
    assert differing(logged.scalars(2, ["loss"]), {"loss": np.inf}) == []
    assert differing(logged.scalars(2, ["loss"]), {"loss": 1.0}) == ["loss"]


def test_pictures_and_report_hold_what_was_found(tmp_path):
    images = np.random.default_rng(0).random((16, 5, 5, 3)).astype("float32")
    images[2, 0] = np.nan
    data = Data(train=(images, np.arange(16) % 3), batch_size=16)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    trainer = toy_trainer(model=model, data=data)
    found = replay_step(Rebuilding(trainer, way_to(0, NO_CHECKPOINTS, None), NO_ROWS))
    (folder := tmp_path / "step").mkdir()
    (folder / "old.png").touch()
    report.write(found, folder, ("a", "b", "c"))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        "activations.png", "gradients.png", "updates.png", "batch.png", "report.json",
    }  # fmt: skip
    for name in names - {"report.json"}:
        assert min(Image.open(folder / name).size) > 100
    facts = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    (position,) = facts["batch"]["image"]["non_finite_positions"]
    assert facts["examples"][position] == 2
    assert facts["scalars"]["compiled"]["loss"] == "nan"
    assert [layer["name"] for layer in facts["layers"]] == ["flatten", "dense"]
    assert facts["layers"][1]["non_finite"] == 3
    terminal.show(found, Console(width=80, file=(printed := io.StringIO())))
    text = printed.getvalue()
    assert f"not finite in the data: position {position} (example 2 of train)" in text
    assert "first bad operation: MatMul, layer dense" in text


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    found = at_first_step()
    monkeypatch.setattr(report, "draw", full)
    with pytest.raises(OSError, match="No space left on device"):
        report.write(found, tmp_path / "replay" / "step")
    assert list((tmp_path / "replay").iterdir()) == []


def test_the_debugger_is_entered_with_the_batch_before_the_step_is_observed(monkeypatch):
    seen = []

    def runcall(function, batch):
        seen.append((function.__name__, batch["features"].numpy()))
        return function(batch)

    monkeypatch.setattr(pdb, "runcall", runcall)
    trainer = stochastic_trainer()
    rebuilding = Rebuilding(trainer, way_to(0, NO_CHECKPOINTS, None), NO_ROWS)
    found = replay_step(rebuilding, with_pdb=True)
    ((name, features),) = seen
    assert name == "train_step"
    np.testing.assert_array_equal(features, found.batch["features"])
    assert found.observed.scalars["loss"] == pytest.approx(found.compiled["loss"], rel=1e-3)
