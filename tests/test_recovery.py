"""What happens at a step that is not finite, against the same run without it."""

import keras
import numpy as np
import pytest
from test_fit import rows
from toy import STEPS_PER_EPOCH, toy_arrays, toy_data, toy_model, toy_trainer, weights

from trainer import distribution
from trainer.callbacks.progress import Progress
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.data.data import Data
from trainer.data.order import ShuffledOrder
from trainer.loop import Pace
from trainer.nonfinite import MAX_IN_A_ROW, NonFiniteError
from trainer.trainer import Trainer

BAD_STEP = 5  # of the first epoch, counted from 1
JIT = {"graph": False, "XLA": True}


def poisoned_data(step=BAD_STEP):
    """The toy data with a NaN in an example that the step sees."""
    features, labels = toy_arrays(70, 0)
    features[ShuffledOrder(70, 8, seed=0).indices(step - 1, 1)[0, 3]] = np.nan
    return Data(train=(features, labels), val=toy_arrays(22, 1), batch_size=8)


def trainer_of(data, run_dir=None, **arguments):
    return toy_trainer(model=toy_model(), data=data, run_dir=run_dir, **arguments)


@pytest.mark.parametrize("jit", JIT.values(), ids=JIT)
def test_stop_saves_the_state_before_the_step_and_names_it(tmp_path, jit):
    trainer = trainer_of(poisoned_data(), tmp_path, jit=jit)
    expected = (
        rf"step {BAD_STEP}: gradient_norm is nan.*; all weights were finite before it; "
        rf".* replay {tmp_path} {BAD_STEP}; pass over such steps"
    )
    with pytest.raises(NonFiniteError, match=expected):
        trainer.fit("3ep")
    clean = trainer_of(toy_data(), jit=jit)
    clean.train_chunk(0, BAD_STEP - 1)
    for ours, theirs in zip(weights(trainer), weights(clean), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert trainer.checkpoints.latest().step == BAD_STEP - 1
    assert [row["step"] for row in rows(tmp_path)] == list(range(1, BAD_STEP))


class Passing(Trainer):
    """Trains with the bad step left out, by hand."""

    def fit(self, duration):
        self.train_chunk(0, BAD_STEP - 1)
        self.train_chunk(BAD_STEP, STEPS_PER_EPOCH - BAD_STEP)


@pytest.mark.parametrize("jit", JIT.values(), ids=JIT)
def test_skip_leaves_out_the_update_alone(tmp_path, jit, caplog):
    trainer = trainer_of(poisoned_data(), tmp_path, on_nonfinite="skip", jit=jit)
    trainer.fit("1ep")
    expected = toy_trainer(Passing, model=toy_model(), jit=jit)
    expected.fit("1ep")
    for ours, theirs in zip(weights(trainer), weights(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    steps = [row["step"] for row in rows(tmp_path) if "train/loss" in row]
    assert steps == [k for k in range(1, STEPS_PER_EPOCH + 1) if k != BAD_STEP]
    assert f"step {BAD_STEP}: gradient_norm is nan" in caplog.text
    assert trainer.checkpoints.latest().facts["passed_over"] == [
        {"step": BAD_STEP, "action": "skip", "to": BAD_STEP - 1}
    ]


@pytest.fixture
def steps_of_one(monkeypatch):
    """Chunks of a single step, as where a step takes long."""
    monkeypatch.setattr(Pace, "num_steps", lambda self, at_most: 1)


@pytest.mark.parametrize("jit", JIT.values(), ids=JIT)
def test_many_chunks_are_redone_from_one_held_state(tmp_path, jit, steps_of_one, monkeypatch):
    trainer = trainer_of(
        poisoned_data(), tmp_path, on_nonfinite="skip", jit=jit, callbacks=[Progress()]
    )
    calls, run = [], trainer.train_chunk
    monkeypatch.setattr(trainer, "train_chunk", lambda *call: calls.append(call) or run(*call))
    trainer.fit("1ep")
    expected = toy_trainer(Passing, model=toy_model(), jit=jit)
    expected.fit("1ep")
    for ours, theirs in zip(weights(trainer), weights(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [call for call in calls if call[1] > 1] == [(0, BAD_STEP - 1)]
    steps = [row["step"] for row in rows(tmp_path) if "train/loss" in row]
    assert steps == [k for k in range(1, STEPS_PER_EPOCH + 1) if k != BAD_STEP]


class Halving:
    """Halves a kernel whenever a hook is called, and notes it before and after."""

    def __init__(self, hook, base):
        self.before, self.after = [], []
        hooks = {hook: lambda *_, **__: self.halve()}
        if base is keras.callbacks.LambdaCallback:
            self.callback = base(**hooks)
        else:
            self.callback = type("Halves", (base,), hooks)()

    def halve(self):
        kernel = self.callback.model.trainable_variables[0]
        self.before.append(kernel.numpy())
        kernel.assign(kernel / 2)
        self.after.append(kernel.numpy())


@pytest.mark.parametrize(
    ("hook", "base", "eval_every", "next_call"),
    [
        ("on_train_batch_begin", keras.callbacks.Callback, None, BAD_STEP),
        ("on_train_batch_end", keras.callbacks.Callback, None, BAD_STEP - 1),
        ("on_chunk_end", TrainerCallback, None, BAD_STEP - 1),
        ("on_train_batch_end", keras.callbacks.LambdaCallback, None, BAD_STEP - 1),
        ("on_test_end", keras.callbacks.Callback, "1st", BAD_STEP - 1),
    ],
)
def test_what_a_callback_changes_between_chunks_is_kept(
    hook, base, eval_every, next_call, steps_of_one
):
    halving = Halving(hook, base)
    trainer = trainer_of(
        poisoned_data(), on_nonfinite="skip", eval_every=eval_every, callbacks=[halving.callback]
    )
    trainer.fit(f"{BAD_STEP + 1}st")
    np.testing.assert_array_equal(halving.before[next_call], halving.after[next_call - 1])
    assert (halving.before[next_call - 1] != halving.after[next_call - 2]).any()


def test_rollback_takes_the_last_checkpoint_and_the_batches_after(tmp_path):
    trainer = trainer_of(poisoned_data(), tmp_path, on_nonfinite="rollback", checkpoint_every="2st")
    trainer.fit("1ep")
    expected = trainer_of(toy_data())
    before = BAD_STEP - 1 - (BAD_STEP - 1) % 2
    expected.train_chunk(0, before)
    expected.train_chunk(BAD_STEP, STEPS_PER_EPOCH - BAD_STEP)
    for ours, theirs in zip(weights(trainer), weights(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert trainer.checkpoints.latest().facts["passed_over"][0]["to"] == before


def test_rollback_without_a_checkpoint_says_so(tmp_path):
    trainer = trainer_of(poisoned_data(step=1), tmp_path, on_nonfinite="rollback")
    with pytest.raises(NonFiniteError, match="no checkpoint yet to roll back to"):
        trainer.fit("1ep")


def test_two_replicas_skip_the_same_step(tmp_path):
    strategy = distribution.mirrored(2)
    with strategy.scope():
        trainer = trainer_of(
            poisoned_data(), tmp_path, on_nonfinite="skip", strategy=strategy,
            optimizer=keras.optimizers.Adam(0.01),
        )  # fmt: skip
    trainer.fit("1ep")
    assert all(np.isfinite(value).all() for value in weights(trainer))
    assert [row["step"] for row in rows(tmp_path) if "train/loss" in row] == [
        k for k in range(1, STEPS_PER_EPOCH + 1) if k != BAD_STEP
    ]


def test_weights_that_are_broken_already_stop_a_run_that_skips():
    trainer = trainer_of(toy_data(), on_nonfinite="skip")
    trainer.model.trainable_variables[1].assign(np.full(8, np.inf))
    with pytest.raises(NonFiniteError, match=r"1 of the model's variables were not finite before"):
        trainer.fit("1ep")


def test_many_bad_steps_in_a_row_stop_a_run_that_skips():
    features, labels = toy_arrays(200, 0)
    data = Data(train=(features * np.nan, labels), batch_size=8)
    trainer = trainer_of(data, on_nonfinite="skip")
    with pytest.raises(NonFiniteError, match=f"{MAX_IN_A_ROW} steps in a row"):
        trainer.fit("1ep")
    assert trainer.step == MAX_IN_A_ROW


def test_ignore_goes_on():
    trainer = trainer_of(poisoned_data(), on_nonfinite="ignore")
    trainer.fit("1ep")
    assert not np.isfinite(weights(trainer)[0]).all()


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="on_nonfinite=panic: choose stop, skip, rollback, ignore"):
        trainer_of(toy_data(), on_nonfinite="panic")
