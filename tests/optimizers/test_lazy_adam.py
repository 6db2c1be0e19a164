"""Adam of rows against its definition, and as `Adam` where gradients are dense."""

import keras
import numpy as np
import pytest
from updates import WAYS, assert_close, random_values, rows, updated

from trainer.optimizers import AdamW, LazyAdam

NUM_ROWS = 7
LOOKED_UP = ([3, 1, 3], [2, 1, 1], [5, 5, 5], [3, 4, 0])
"""The rows of each step; some several times, the last row of the table never."""


def table_and_gradients():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(NUM_ROWS, 2))
    return table, [(step, rng.normal(size=(len(step), 2))) for step in LOOKED_UP]


def by_definition(table, gradients, rates, weight_decay=0.0, beta_2=0.999, amsgrad=False):
    """Adam on the rows of each step alone; returns tables and moments of all steps."""
    m, v, largest = np.zeros_like(table), np.zeros_like(table), np.zeros_like(table)
    table, history = table.copy(), []
    for t, ((indices, values), rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        for row in set(indices):
            g = sum(value for index, value in zip(indices, values, strict=True) if index == row)
            m[row] = 0.9 * m[row] + 0.1 * g
            v[row] = beta_2 * v[row] + (1 - beta_2) * g**2
            largest[row] = np.maximum(largest[row], v[row])
            root = np.sqrt(largest[row] if amsgrad else v[row])
            factor = np.sqrt(1 - beta_2**t) / (1 - 0.9**t)
            table[row] = table[row] * (1 - rate * weight_decay)
            table[row] -= rate * factor * m[row] / (root + 1e-7)
        history.append([table.copy()])
    return history, m, v


def gradients_of_rows(gradients):
    return [[rows(*step, NUM_ROWS)] for step in gradients]


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_updated_by_the_sum_of_their_gradients_and_no_others(way):
    table, gradients = table_and_gradients()
    rates = [0.1 * 0.5**t for t in range(len(gradients))]
    expected, m, v = by_definition(table, gradients, rates, weight_decay=0.3)

    def optimizer():
        halving = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        return LazyAdam(halving, weight_decay=0.3)

    values, lazy = updated(optimizer, [table], gradients_of_rows(gradients), way)
    assert_close(values, expected)
    momentum, velocity = lazy._momentums[0].numpy(), lazy._velocities[0].numpy()
    np.testing.assert_allclose(momentum, m, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(velocity, v, rtol=1e-4, atol=1e-9)
    assert np.stack([momentum, velocity]).any(axis=(0, 2)).tolist() == [True] * 6 + [False]
    before = table.astype("float32")
    for step, (after,) in zip(LOOKED_UP, values, strict=True):
        others = [row for row in range(NUM_ROWS) if row not in step]
        np.testing.assert_array_equal(after[others], before[others])
        before = after


@pytest.mark.parametrize(
    ("arguments", "exclude"),
    [({"amsgrad": True}, ()), ({"weight_decay": 0.3}, (0,))],
    ids=["amsgrad", "table without weight decay"],
)
def test_arguments_of_adam_hold_for_rows(arguments, exclude):
    table, gradients = table_and_gradients()
    gradients = [*gradients, (LOOKED_UP[0], 0.1 * gradients[0][1])]
    amsgrad = arguments.get("amsgrad", False)
    expected, _, _ = by_definition(table, gradients, [0.1] * 5, beta_2=0.9, amsgrad=amsgrad)
    values, _ = updated(
        lambda: LazyAdam(0.1, beta_2=0.9, **arguments),
        [table],
        gradients_of_rows(gradients),
        exclude=exclude,
    )
    assert_close(values, expected)


@pytest.mark.parametrize("way", WAYS)
def test_dense_gradients_are_treated_as_by_adam(way):
    initial, gradients = random_values(5)
    values, _ = updated(
        lambda: LazyAdam(0.1, weight_decay=0.3), initial, gradients, way, exclude=[1]
    )
    expected, _ = updated(
        lambda: AdamW(0.1, weight_decay=0.3), initial, gradients, way, exclude=[1]
    )
    assert_close(values, expected, rtol=1e-6, atol=1e-7)


def test_it_can_be_saved_with_its_config():
    optimizer = LazyAdam(0.02, beta_2=0.99, amsgrad=True, weight_decay=0.1)
    same = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(same) is LazyAdam
    assert same.get_config() == optimizer.get_config()


def test_keras_fit_updates_the_rows_alone():
    embedding = keras.layers.Embedding(NUM_ROWS, 2)
    model = keras.Sequential([embedding, keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(LazyAdam(0.1, weight_decay=0.1), "mse")
    model.build((None, 3))
    before = embedding.embeddings.numpy()
    model.fit(np.array([[1, 3, 3], [1, 4, 1]]), np.ones((2, 1)), epochs=2, verbose=0)
    changed = (embedding.embeddings.numpy() != before).all(axis=1)
    assert changed.tolist() == [False, True, False, True, True, False, False]
