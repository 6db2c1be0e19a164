"""The parts of the memory, counted by hand on a small dense network."""

import keras
import numpy as np
import pytest
from toy import BATCH_SIZE, NUM_TRAIN, NUM_VAL, toy_arrays, toy_model, toy_trainer

from trainer.describe.memory import activation_bytes, memory_table
from trainer.update import Update

WEIGHTS = (4 * 8 + 8) + (8 * 3 + 3)


@pytest.fixture(autouse=True)
def float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy(before)


def splits():
    pairs = {"train": toy_arrays(NUM_TRAIN, 0), "val": toy_arrays(NUM_VAL, 1)}
    return {split: {"features": x, "label": y} for split, (x, y) in pairs.items()}


def rows(**arguments):
    table = memory_table(toy_trainer(**arguments), splits())
    return {name: size for name, size, _ in table.rows}, table


def test_weights_state_and_data_are_exact():
    found, table = rows(update=Update(ema_decay=0.9), on_nonfinite="ignore")
    assert found["parameters"] == found["gradients"] == f"{4 * WEIGHTS} B"
    assert found["moving average of the weights"] == f"{4 * WEIGHTS} B"
    # Adam's two moments, its count of updates (int64) and the learning rate.
    assert found["optimizer state"] == f"{2 * 4 * WEIGHTS + 8 + 4} B"
    assert found["data"] == f"{(NUM_TRAIN + NUM_VAL) * (4 * 4 + 4) / 1024:.3g} KiB"
    assert not any(name.startswith("state to go back to") for name in found)
    assert "An estimate" in table.lines[0]


def test_accumulation_and_a_state_to_go_back_to_take_memory():
    found, _ = rows(update=Update(accumulate_steps=2))
    assert found["sums and scale of gradients"] == f"{4 * WEIGHTS + 4} B"
    assert any(name.startswith("state to go back to") for name in found)


def test_a_backward_pass_keeps_what_it_reads_once():
    # Of the hidden layer its ReLU's output alone: neither the product nor the sum with the bias.
    kept, at_work = activation_bytes(toy_trainer(), BATCH_SIZE)
    assert kept == BATCH_SIZE * 8 * 4
    assert at_work >= BATCH_SIZE * 8 * 4


@pytest.mark.parametrize("num_frozen", [0, 1, 2])
def test_frozen_layers_keep_nothing(num_frozen):
    model = keras.Sequential([keras.layers.Dense(8, activation="relu") for _ in range(2)])
    model.add(keras.layers.Dense(3))
    for layer in model.layers[:num_frozen]:
        layer.trainable = False
    trainer = toy_trainer(model=model)
    # The last layer's kernel needs its input whatever is frozen.
    expected = {0: 2, 1: 2, 2: 1}[num_frozen] * BATCH_SIZE * 8 * 4
    assert activation_bytes(trainer, BATCH_SIZE)[0] == expected


def test_nothing_is_changed_by_looking():
    trainer = toy_trainer(model=toy_model(keras.layers.BatchNormalization()))
    before = [v.numpy() for v in trainer.model.variables]
    memory_table(trainer, splits())
    for old, variable in zip(before, trainer.model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
