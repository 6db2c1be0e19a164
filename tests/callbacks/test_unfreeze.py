"""A layer that is trained from a step on: against its plain definition, and taken up again."""

import keras
import numpy as np
import pytest
from toy import STEPS_PER_EPOCH, toy_model, toy_trainer, weights

from models.layers import FusedBatchNormalization
from trainer import Update
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.callbacks.unfreeze import Unfreeze

AT = 5


def small_model(trainable=True):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.01)),
            FusedBatchNormalization(momentum=0.5),
        ],
        name="base",
    )
    base.trainable = trainable
    return keras.Sequential([base, keras.layers.Dense(3)])


def trainer_with(*callbacks, trainable=True, optimizer=None, **arguments):
    return toy_trainer(
        model=small_model(trainable),
        optimizer=optimizer or keras.optimizers.AdamW(0.01, weight_decay=0.1),
        callbacks=callbacks,
        **arguments,
    )


def unfreezing(**arguments):
    return trainer_with(Unfreeze("base", at=f"{AT}st"), **arguments)


def state(trainer):
    return {name: variable.numpy() for name, variable in trainer.variables.items()}


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(two[name], array, name)


def test_it_is_training_without_the_layer_and_then_with_it():
    def sgd():  # without a state of its own, so that two optimizers are as good as one
        return keras.optimizers.SGD(0.1, weight_decay=0.1)

    trainer = unfreezing(optimizer=sgd())
    trainer.train_chunk(0, AT + 4)

    without = trainer_with(trainable=False, optimizer=sgd())
    without.train_chunk(0, AT)
    with_it = trainer_with(optimizer=sgd())
    for variable, value in zip(with_it.model.variables, weights(without), strict=True):
        variable.assign(value)
    with_it.train_chunk(AT, 4)
    for a, b in zip(weights(trainer), weights(with_it), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_until_then_nothing_changes_the_layer(accumulate_steps):
    update = Update(ema_decay=0.9, accumulate_steps=accumulate_steps)
    trainer = unfreezing(update=update)
    base = trainer.model.get_layer("base").variables
    before = [v.numpy() for v in base]
    trainer.train_chunk(0, AT)
    for variable, value in zip(base, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    with trainer.updater.averaged_weights():
        for variable, value in zip(base, before, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value)
    trainer.train_chunk(AT, accumulate_steps)
    for variable, value in zip(base, before, strict=True):
        assert not np.array_equal(variable.numpy(), value), variable.path


def test_it_is_taken_up_to_the_bit_on_either_side():
    update = Update(accumulate_steps=2, ema_decay=0.9)
    whole, stops = unfreezing(update=update), (AT - 2, AT, AT + 1)
    saved, step = {}, 0
    for stop in (*stops, 9):
        whole.train_chunk(step, stop - step)
        saved[stop], step = state(whole), stop
    for stop in stops:
        again = unfreezing(update=update)
        for name, variable in again.variables.items():
            variable.assign(saved[stop][name])
        again.train_chunk(stop, 9 - stop)
        assert_equal(state(again), saved[9])


@pytest.mark.parametrize("at", [STEPS_PER_EPOCH - 1, STEPS_PER_EPOCH])
def test_a_run_that_is_taken_up_is_the_same_run(at, tmp_path):
    def run(name, *durations):
        for duration in durations:
            trainer = trainer_with(Unfreeze("base", f"{at}st"), run_dir=tmp_path / name)
            trainer.fit(duration)
        return state(trainer), trainer.evaluate()

    whole, parts = run("whole", "2ep"), run("parts", "1ep", "2ep")
    assert_equal(parts[0], whole[0])
    assert parts[1] == whole[1]


class Chunks(TrainerCallback):
    def __init__(self):
        super().__init__()
        self.ends = []

    def on_chunk_end(self, num_steps, scalars, seconds):
        self.ends.append((self.trainer.step, self.trainer.model.get_layer("base").trainable))


def test_a_run_cuts_its_chunks_there_and_compiles_once_more():
    chunks = Chunks()
    trainer = trainer_with(Unfreeze("base", "1ep"), chunks)
    graphs = []
    trace = trainer.retrace
    trainer.retrace = lambda: (graphs.append(trainer.step), trace())
    trainer.fit("3ep")
    assert (STEPS_PER_EPOCH, False) in chunks.ends
    assert all(trained == (step > STEPS_PER_EPOCH) for step, trained in chunks.ends)
    assert graphs == [0, STEPS_PER_EPOCH]
    assert trainer.chunk.num_traces == 1


def test_a_layer_that_was_frozen_is_trained_too():
    trainer = trainer_with(Unfreeze(at="0st"), trainable=False)
    before = weights(trainer)
    trainer.train_chunk(0, 1)
    for value, now in zip(before, weights(trainer), strict=True):
        assert not np.array_equal(value, now)


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"Unfreeze\(layer='bsae'\): no such layer; .*base"):
        trainer_with(Unfreeze("bsae"))


@pytest.mark.parametrize("at", ["10%", "5min"])
def test_steps_are_counted_from_the_start(at):
    with pytest.raises(ValueError, match=rf"at={at}: write steps"):
        Unfreeze(at=at)


def test_without_a_name_it_is_the_first_layer_with_variables():
    model = toy_model(FusedBatchNormalization())
    trainer = toy_trainer(model=model, callbacks=[Unfreeze(at="3st")])
    before = weights(trainer)
    trainer.train_chunk(0, 2)
    is_same = [np.array_equal(a, b) for a, b in zip(before, weights(trainer), strict=True)]
    assert is_same[:2] == [True, True]
    assert not any(is_same[2:])
