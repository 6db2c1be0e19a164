"""A past step is rebuilt to the bit, and what went wrong in it is named."""

import io
import json
import pdb
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console
from test_fit import rows
from test_recovery import BAD_STEP, poisoned_data
from test_run import train
from toy import BATCH_SIZE, STEPS_PER_EPOCH, toy_model, toy_trainer

from models.layers.stateless_dropout import StatelessDropout
from trainer import distribution
from trainer.__main__ import entry
from trainer.checkpoint_folder import CheckpointFolder
from trainer.data.data import Data
from trainer.nonfinite import NonFiniteError
from trainer.replay import report
from trainer.replay.logged import LoggedSteps, differing
from trainer.replay.rebuild import Rebuilding, way_to
from trainer.replay.step import replay_step
from trainer.replay.summary import summarise
from trainer.trainer import Trainer
from trainer.update import Update

JIT = {"graph": False, "XLA": True}
NO_CHECKPOINTS = CheckpointFolder(Path("/nowhere"))
NO_ROWS = LoggedSteps(Path("/nowhere/metrics.jsonl"))


@pytest.fixture(autouse=True)
def names_from_the_beginning():
    keras.utils.clear_session()


def stochastic_trainer(run_dir=None, **arguments):
    layers = [
        keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=1), StatelessDropout(0.3),
    ]  # fmt: skip
    update = Update(accumulate_steps=3, ema_decay=0.9, clip_global_norm=1.0)
    return toy_trainer(model=toy_model(*layers), run_dir=run_dir, update=update, **arguments)


def replayed(trainer, run_dir, step):
    folder = CheckpointFolder(run_dir / "checkpoints")
    way = way_to(step - 1, folder, folder.latest())
    rebuilding = Rebuilding(trainer, way, LoggedSteps(run_dir / "metrics.jsonl"))
    rebuilding.run()
    return replay_step(rebuilding)


def keep_checkpoints(run_dir, steps):
    for path in (run_dir / "checkpoints").glob("step_*"):
        if int(path.stem[5:]) not in steps:
            path.unlink()


def assert_as_the_run(found):
    assert found.logged is not None
    assert found.differing == []
    assert found.first_differing is None
    assert found.num_equal == found.way.num_steps
    for name, value in found.compiled.items():
        assert found.observed.scalars[name] == pytest.approx(value, rel=1e-3), name


# ---- the state before the step


@pytest.mark.parametrize("jit", JIT.values(), ids=JIT)
@pytest.mark.parametrize("kept", [{24}, {7, 14, 21, 24}], ids=["seed", "checkpoint"])
def test_a_step_of_a_stochastic_run_is_rebuilt_to_the_bit(tmp_path, jit, kept):
    run = stochastic_trainer(tmp_path, jit=jit, checkpoint_every="7st", keep=100)
    run.fit("24st")
    keep_checkpoints(tmp_path, kept)
    found = replayed(stochastic_trainer(jit=jit), tmp_path, 20)
    assert found.way.first_step == (14 if 14 in kept else 0)
    assert found.way.num_steps == 19 - found.way.first_step
    assert_as_the_run(found)


def test_the_whole_state_is_rebuilt_and_the_epochs_metrics_with_it(tmp_path):
    run = stochastic_trainer(tmp_path, checkpoint_every="11st", keep=100)
    run.fit("24st")
    there = CheckpointFolder(tmp_path / "checkpoints").latest(at_most=11)
    trainer = stochastic_trainer()
    Rebuilding(trainer, way_to(11, CheckpointFolder(tmp_path / "none"), None), LoggedSteps(
        tmp_path / "metrics.jsonl")).run()  # fmt: skip
    assert trainer.variables.keys() <= there.arrays.keys()
    for name, variable in trainer.variables.items():
        np.testing.assert_array_equal(variable.numpy(), there.arrays[name], err_msg=name)


def test_another_run_is_noticed_at_its_first_step(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("12st")
    keep_checkpoints(tmp_path, {12})
    found = replayed(toy_trainer(optimizer=keras.optimizers.Adam(0.02)), tmp_path, 10)
    assert found.first_differing[0] == 1  # the rate itself is a scalar
    assert "learning_rate" in found.first_differing[1]
    assert "loss" in found.differing


def test_learning_rates_that_a_callback_set_are_taken_from_the_rows(tmp_path):
    def plateau():
        return keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_delta=100)

    toy_trainer(run_dir=tmp_path, callbacks=[plateau()]).fit("4ep")
    assert len({row["train/learning_rate"] for row in rows(tmp_path) if "train/loss" in row}) > 2
    keep_checkpoints(tmp_path, {4 * STEPS_PER_EPOCH})
    found = replayed(toy_trainer(callbacks=[plateau()]), tmp_path, 4 * STEPS_PER_EPOCH - 1)
    assert_as_the_run(found)
    assert found.notes == []
    (tmp_path / "metrics.jsonl").unlink()
    found = replayed(toy_trainer(callbacks=[plateau()]), tmp_path, 2 * STEPS_PER_EPOCH)
    assert "ReduceLROnPlateau may have set the learning rate before step 9" in found.notes[0]


class Interferes(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        kernel = self.model.trainable_variables[0]
        kernel.assign(0.9 * kernel)


def test_a_callback_that_may_interfere_is_named(tmp_path):
    toy_trainer(run_dir=tmp_path, callbacks=[Interferes()], checkpoint_every="1ep", keep=9).fit(
        "2ep"
    )
    step = STEPS_PER_EPOCH + 2
    found = replayed(toy_trainer(callbacks=[Interferes()]), tmp_path, step)
    assert_as_the_run(found)  # the checkpoint at the epoch's end is after the callback
    assert found.notes == []
    keep_checkpoints(tmp_path, {2 * STEPS_PER_EPOCH})
    found = replayed(toy_trainer(callbacks=[Interferes()]), tmp_path, step)
    assert found.notes[0].startswith("Interferes: callbacks are not called on the way")
    assert found.first_differing[0] == STEPS_PER_EPOCH + 1


@pytest.mark.parametrize("kept", [set(), {3}, {5, 6}])
@pytest.mark.parametrize("action", ["skip", "rollback"])
def test_steps_that_were_passed_over_are_passed_over(tmp_path, action, kept):
    run = toy_trainer(
        data=poisoned_data(), run_dir=tmp_path, on_nonfinite=action, checkpoint_every="3st", keep=99
    )
    run.fit("2ep")
    keep_checkpoints(tmp_path, kept | {2 * STEPS_PER_EPOCH})
    found = replayed(toy_trainer(data=poisoned_data(), on_nonfinite=action), tmp_path, 8)
    assert_as_the_run(found)
    if not kept:
        # A rollback goes from step 3 on with step 6, so that step 4 leaves no trace.
        assert found.way.num_steps == (6 if action == "skip" else 5)


def test_a_step_that_was_passed_over_itself_can_be_replayed(tmp_path):
    toy_trainer(data=poisoned_data(), run_dir=tmp_path, on_nonfinite="skip").fit("1ep")
    found = replayed(toy_trainer(data=poisoned_data()), tmp_path, BAD_STEP)
    assert found.logged is None
    assert not np.isfinite(found.compiled["gradient_norm"])


def test_the_run_is_left_as_it_was(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("1ep")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    replayed(toy_trainer(), tmp_path, 5)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


# ---- what is seen of the step


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
    features = data.feed("train")._tensors["features"].numpy()
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
    assert bad.place.line.startswith("tests/test_replay.py:")
    assert bad.inputs[0].minimum == 0
    assert bad.output.num_non_finite > 0
    assert bad.has_finite_inputs
    assert bad.in_words().startswith("Log, layer log_of, tests/test_replay.py:")


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
    report.show(found, Console(width=80, file=(printed := io.StringIO())))
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


# ---- the command


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 12 steps with images, augmentation and accumulation, whose last state is kept."""
    run_dir = tmp_path_factory.mktemp("finished") / "run"
    words = ["augment=mixup", "model.dropout=0.3", "update.accumulate_steps=2", "jit=true"]
    assert train(run_dir, "duration=2ep", *words) == 0
    return run_dir.rename(run_dir.with_name("seed=0"))  # as a sweep names its folders


def test_the_command_shows_and_writes_the_step(finished, capsys):
    assert entry(["replay", str(finished), "9"]) == 0
    printed = capsys.readouterr().out
    assert "Step 9: epoch 2, step 3 of 6; from the run's seed, 8 step(s) forward" in printed
    assert "equal to metrics.jsonl to the bit: loss" in printed
    assert "so are 8 step(s) on the way" in printed
    assert "NOT as compiled" not in printed
    assert "this step made no update" in printed
    assert "note    other conditions" not in printed
    names = {path.name for path in (finished / "replay" / "step_000000009").iterdir()}
    assert {"report.json", "batch.png", "activations.png"} <= names


def test_from_a_checkpoint_too_unless_it_is_of_another_model(tmp_path, capsys):
    words = ["augment=strong", "data.batch_size=50", "update.ema_decay=0.9", "jit=false"]
    assert train(tmp_path, "duration=2ep", "checkpoint_every=3st", "keep=9", *words) == 0
    assert entry(["replay", str(tmp_path), "6"]) == 0
    printed = capsys.readouterr().out
    assert "from checkpoint step_000000003.safetensors, 2 step(s) forward" in printed
    assert "equal to metrics.jsonl to the bit" in printed
    assert entry(["replay", str(tmp_path), "3", "model.hidden_units=[9]"]) == 0
    printed = capsys.readouterr().out
    assert "not as in the run: model.hidden_units=[9]" in printed
    assert "DIFFERS from metrics.jsonl" in printed
    assert entry(["replay", str(tmp_path), "6", "model.hidden_units=[9]"]) == 1
    error = capsys.readouterr().err
    assert "step_000000003.safetensors does not fit this model" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a run folder and a step are needed"),
        (["RUN"], "a run folder and a step are needed"),
        (["nowhere", "1"], "nowhere: no run folder, it has no config.yaml"),
        (["RUN", "0"], "STEP=0: must be from 1 to"),
        (["RUN", "13"], "STEP=13: must be from 1 to 12; the last step of"),
        (["RUN", "99999"], "the last step of"),
        (["RUN", "-1"], "STEP=-1: must be a whole number"),
        (["RUN", "two"], "STEP=two: must be a whole number"),
        (["RUN", "1.5"], "STEP=1.5: must be a whole number"),
        (["RUN", "1", "more"], "more: not KEY=VALUE"),
        (["RUN", "1", "--pbd"], "--pbd: not KEY=VALUE"),
        (["RUN", "1", "data.rot=x"], "data.rot"),
    ],
)
def test_bad_usage_is_one_line(finished, words, message, capsys):
    assert entry(["replay", *(str(finished) if w == "RUN" else w for w in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_damaged_checkpoints_are_named_and_done_without(finished, tmp_path, capsys, caplog):
    run_dir = shutil.copytree(finished, tmp_path / "run")
    (checkpoint,) = (run_dir / "checkpoints").glob("step_*")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    (run_dir / "manifest.json").write_text("{")
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "tr')
    assert entry(["replay", str(run_dir), "2"]) == 0
    printed = capsys.readouterr().out
    assert "step_000000012.safetensors is damaged" in printed + caplog.text
    assert "equal to metrics.jsonl to the bit" in printed
    assert "manifest.json cannot be read" in printed


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


def test_leaving_the_debugger_writes_nothing(finished, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    assert entry(["replay", str(finished), "5", "--pdb"]) == 0
    assert "left by the debugger" in capsys.readouterr().out
    assert not (finished / "replay" / "step_000000005").exists()
