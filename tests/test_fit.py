import json
import os
import signal

import keras
import numpy as np
import pytest
from test_writers import events
from toy import BATCH_SIZE, STEPS_PER_EPOCH, toy_data, toy_model, toy_trainer, weights

from trainer.callbacks.trainer_callback import TrainerCallback


def rows(run_dir):
    """The lines of metrics.jsonl without the wall-clock figures."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in lines]


def stochastic_trainer(run_dir, **arguments):
    return toy_trainer(
        model=toy_model(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=1)),
        run_dir=run_dir,
        **arguments,
    )


def test_history_is_keras_own():
    history = toy_trainer().fit("3ep").history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(values) == 3 for values in history.values())
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_every_step_and_every_evaluation_is_written_once(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("3ep")
    per_step = [row["step"] for row in rows(tmp_path) if "train/loss" in row]
    per_evaluation = [row["step"] for row in rows(tmp_path) if "val/loss" in row]
    assert per_step == list(range(1, 3 * STEPS_PER_EPOCH + 1))
    assert per_evaluation == [STEPS_PER_EPOCH * epoch for epoch in (1, 2, 3)]
    points = events(tmp_path / "train")["learning_rate"]
    assert [step for step, _ in points] == per_step


def test_things_are_done_when_they_are_due(tmp_path):
    trainer = toy_trainer(run_dir=tmp_path, log_every="5st", eval_every="7st", keep=100,
                          checkpoint_every=f"{10 * BATCH_SIZE}ex")  # fmt: skip
    trainer.fit("25st")
    assert [r["step"] for r in rows(tmp_path) if "train/loss" in r] == [5, 10, 15, 20, 25]
    assert [r["step"] for r in rows(tmp_path) if "val/loss" in r] == [7, 14, 21, 25]
    saved = sorted(int(p.stem[5:]) for p in (tmp_path / "checkpoints").glob("step_*"))
    assert saved == [10, 20, 25]


@pytest.mark.parametrize("stops", [[3], [STEPS_PER_EPOCH], [5, 11, 12, 20]])
def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(tmp_path, stops):
    whole = stochastic_trainer(tmp_path / "whole", eval_every="8st")
    whole.fit("24st")
    for stop in [*stops, 24]:
        parts = stochastic_trainer(tmp_path / "parts", eval_every="8st", callbacks=[StopAt(stop)])
        parts.fit("24st")
    assert parts.step == 24
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    for split in ("train", "val"):
        parts, whole = (events(tmp_path / name / split) for name in ("parts", "whole"))
        assert {t: parts[t] for t in parts if not t.startswith("time/")} == {
            t: whole[t] for t in whole if not t.startswith("time/")
        }


class StopAt(TrainerCallback):
    """Sends SIGTERM once the step is reached, as a preempting scheduler does."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def on_chunk_end(self, num_steps, scalars, seconds):
        if self.trainer.step >= self._step and self.trainer.step < 24:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_saves_and_stops(tmp_path):
    trainer = toy_trainer(run_dir=tmp_path, callbacks=[StopAt(1)])
    trainer.fit("24st")
    assert trainer.interrupted_by == "SIGTERM"
    assert 0 < trainer.step < 24
    assert trainer.checkpoints.latest().step == trainer.step


class SignalInEvaluation(keras.callbacks.Callback):
    """Sends a signal when an evaluation begins, once."""

    def __init__(self, number):
        super().__init__()
        self._number = number

    def on_test_begin(self, logs=None):
        if self._number:
            number, self._number = self._number, None
            os.kill(os.getpid(), number)


@pytest.mark.parametrize("duration", ["1ep", "3ep"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_in_an_evaluation_stops_it_and_it_is_made_up_for(tmp_path, number, duration):
    def trainer(name, *callbacks):
        return toy_trainer(run_dir=tmp_path / name, callbacks=list(callbacks))

    whole, stopped, resumed = (
        trainer("whole"), trainer("parts", SignalInEvaluation(number)), trainer("parts"),
    )  # fmt: skip
    whole.fit(duration)
    stopped.fit(duration)
    assert stopped.interrupted_by == number.name
    assert stopped.step == STEPS_PER_EPOCH
    assert not [row for row in rows(tmp_path / "parts") if "val/loss" in row]
    resumed.fit(duration)
    assert resumed.interrupted_by is None
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert resumed.ranking == whole.ranking


def test_weights_that_early_stopping_holds_survive(tmp_path):
    def trainer(*callbacks):
        stopping = keras.callbacks.EarlyStopping(
            "val_loss", patience=3, min_delta=100, restore_best_weights=True
        )
        return toy_trainer(run_dir=tmp_path, callbacks=[stopping, *callbacks])

    trainer(StopAt(2 * STEPS_PER_EPOCH)).fit("20ep")
    resumed = trainer()
    resumed.fit("20ep")
    assert resumed.step == 4 * STEPS_PER_EPOCH
    first_epoch = toy_trainer()
    first_epoch.fit("1ep")
    for ours, best in zip(weights(resumed), weights(first_epoch), strict=True):
        np.testing.assert_array_equal(ours, best)


class HoldsArrays(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.arrays = [np.arange(6.0).reshape(2, 3).T + epoch]


def test_arrays_of_any_order_that_callbacks_hold_survive(tmp_path):
    toy_trainer(run_dir=tmp_path, callbacks=[HoldsArrays()]).fit("2ep")
    resumed = HoldsArrays()
    toy_trainer(run_dir=tmp_path, callbacks=[resumed]).fit("2ep")
    np.testing.assert_array_equal(resumed.arrays, [np.arange(6.0).reshape(2, 3).T + 1])


class DiesAtTheEnd(keras.callbacks.Callback):
    """Ends the process, as it were, before the state is saved for the last time."""

    def __init__(self, dies):
        super().__init__()
        self._dies = dies

    def on_train_end(self, logs=None):
        if self._dies:
            raise RuntimeError("killed")


def test_what_callbacks_do_at_the_end_is_made_up_for(tmp_path):
    def trainer(name, dies=False):
        stopping = keras.callbacks.EarlyStopping(
            "val_loss", patience=1, min_delta=100, restore_best_weights=True
        )
        return toy_trainer(run_dir=tmp_path / name, callbacks=[stopping, DiesAtTheEnd(dies)])

    trainer("whole").fit("20ep")
    with pytest.raises(RuntimeError, match="killed"):
        trainer("parts", dies=True).fit("20ep")
    trainer("parts").fit("20ep")
    whole, parts = (trainer(name).checkpoints.latest() for name in ("whole", "parts"))
    assert parts.step == whole.step == 2 * STEPS_PER_EPOCH
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(parts.arrays[name], array, err_msg=name)


def test_another_monitor_begins_a_ranking_of_its_own(tmp_path, caplog):
    toy_trainer(run_dir=tmp_path, monitor="val/accuracy").fit("2ep")
    trainer = toy_trainer(run_dir=tmp_path, monitor="val/loss")
    trainer.fit("3ep")
    assert "the best weights so far, by val/accuracy (max), count no more" in caplog.text
    assert [step for _, step in trainer.ranking] == [3 * STEPS_PER_EPOCH]


def test_a_callback_is_resumed_with_the_arguments_that_it_has_now(tmp_path):
    def trainer(patience, *callbacks):
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience, min_delta=100)
        return toy_trainer(run_dir=tmp_path, callbacks=[stopping, *callbacks])

    trainer(9, StopAt(2 * STEPS_PER_EPOCH)).fit("20ep")
    resumed = trainer(3)
    resumed.fit("20ep")
    assert resumed.step == 4 * STEPS_PER_EPOCH


def test_a_second_fit_saves_what_callbacks_remember_of_the_first(tmp_path):
    def trainer():
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=4, min_delta=100)
        return toy_trainer(run_dir=tmp_path, callbacks=[stopping])

    first = trainer()
    first.fit("2ep")
    first.fit("3ep")
    resumed = trainer()
    resumed.fit("20ep")
    assert resumed.step == 5 * STEPS_PER_EPOCH


def test_a_csv_log_goes_on(tmp_path):
    def trainer(*callbacks):
        log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
        return toy_trainer(run_dir=tmp_path / "run", callbacks=[log, *callbacks])

    trainer(StopAt(STEPS_PER_EPOCH)).fit("3ep")
    trainer().fit("3ep")
    epochs = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert epochs == ["epoch", "0", "1", "2"]


def test_a_finished_run_is_left_alone(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("2ep")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    trainer = toy_trainer(run_dir=tmp_path)
    history = trainer.fit("2ep").history
    assert trainer.step == 2 * STEPS_PER_EPOCH
    assert len(history["val_loss"]) == 2
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path):
    trainer = toy_trainer(run_dir=tmp_path, eval_every="2st", monitor="val/accuracy",
                          optimizer=keras.optimizers.SGD(2.0))  # fmt: skip
    trainer.fit("30st")
    logged = [r["val/accuracy"] for r in rows(tmp_path) if "val/accuracy" in r]
    assert trainer.best == max(logged)
    other = toy_trainer()
    other.load_weights(trainer.checkpoints.best())
    assert other.evaluate()["accuracy"] == max(logged)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("1ep")
    other = toy_trainer(run_dir=tmp_path, model=toy_model(keras.layers.Dense(5)))
    with pytest.raises(ValueError, match=r"does not fit this model and optimizer.*first 'model/"):
        other.fit("2ep")


def test_keras_callbacks_work_unchanged(tmp_path):
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_delta=100)
    csv = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    keras_file = keras.callbacks.ModelCheckpoint(str(tmp_path / "model.keras"))
    trainer = toy_trainer(callbacks=[plateau, csv, keras_file])
    trainer.fit("4ep")
    assert float(trainer.optimizer.learning_rate) < 0.01
    assert (tmp_path / "log.csv").read_text().count("\n") == 5
    features = toy_data().example_batch()["features"]
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "model.keras")(features), trainer.model(features)
    )


def test_early_stopping_ends_the_run_and_is_remembered(tmp_path):
    def trainer():
        stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=1, min_delta=1)
        return toy_trainer(run_dir=tmp_path, callbacks=[stopping])

    first, again = trainer(), trainer()
    first.fit("20ep")
    again.fit("20ep")
    assert first.step == again.step == 2 * STEPS_PER_EPOCH


def test_an_exception_in_a_callback_loses_no_written_step(tmp_path):
    class Fails(TrainerCallback):
        closed = False

        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("mine")

        def close(self):
            self.closed = True

    fails = Fails()
    with pytest.raises(RuntimeError, match="mine"):
        toy_trainer(run_dir=tmp_path, callbacks=[fails]).fit("2ep")
    assert [r["step"] for r in rows(tmp_path) if "train/loss" in r][-1] == STEPS_PER_EPOCH
    assert fails.closed


def test_a_run_measured_in_minutes_ends_by_the_clock():
    trainer = toy_trainer()
    trainer.fit("0.01min")
    assert trainer.step > 0


def test_without_a_run_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_trainer().fit("1ep")
    assert not list(tmp_path.iterdir())


def test_logging_by_the_clock_is_refused():
    with pytest.raises(ValueError, match="log_every=1min: in steps"):
        toy_trainer(log_every="1min").fit("1ep")
