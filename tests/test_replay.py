"""A past step is rebuilt to the bit, and what went wrong in it is named."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from test_fit import rows
from test_recovery import BAD_STEP, poisoned_data
from test_run import train
from toy import STEPS_PER_EPOCH, toy_model, toy_trainer

from models.layers.stateless_dropout import StatelessDropout
from trainer.__main__ import entry
from trainer.checkpoint_folder import CheckpointFolder
from trainer.replay.logged import LoggedSteps
from trainer.replay.rebuild import Rebuilding
from trainer.replay.step import replay_step
from trainer.replay.way import way_to
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


def test_leaving_the_debugger_writes_nothing(finished, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    assert entry(["replay", str(finished), "5", "--pdb"]) == 0
    assert "left by the debugger" in capsys.readouterr().out
    assert not (finished / "replay" / "step_000000005").exists()
