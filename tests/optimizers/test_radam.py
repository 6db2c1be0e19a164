"""Rectified Adam against algorithm 2 of the paper."""

import math

import keras
import numpy as np
import pytest
from updates import WAYS, assert_close, random_values, rows, updated

from trainer.optimizers import RAdam

NUM_STEPS = 9


def by_the_paper(
    initial, gradients, rates, beta_2=0.999, weight_decay=0.0, decayed=(), epsilon=1e-7
):
    """Algorithm 2 in float64, with decoupled weight decay; also the steps that were rectified."""
    beta_1, values, rectified_steps = 0.9, list(initial), []
    m, v = [np.zeros_like(x) for x in initial], [np.zeros_like(x) for x in initial]
    longest = 2 / (1 - beta_2) - 1
    history = []
    for t, (step, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        length = longest - 2 * t * beta_2**t / (1 - beta_2**t)
        if length > 4:
            rectified_steps.append(t)
        for k, g in enumerate(step):
            if k in decayed:
                values[k] = values[k] * (1 - rate * weight_decay)
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            m_hat = m[k] / (1 - beta_1**t)
            if length > 4:
                adaptive = math.sqrt(1 - beta_2**t) / (np.sqrt(v[k]) + epsilon)
                r = math.sqrt(
                    ((length - 4) * (length - 2) * longest)
                    / ((longest - 4) * (longest - 2) * length)
                )
                values[k] = values[k] - rate * r * m_hat * adaptive
            else:
                values[k] = values[k] - rate * m_hat
        history.append(list(values))
    return history, rectified_steps


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_algorithm_of_the_paper(way):
    initial, gradients = random_values(NUM_STEPS)
    expected, rectified_steps = by_the_paper(initial, gradients, [0.1] * NUM_STEPS)
    assert rectified_steps == [5, 6, 7, 8, 9]
    values, _ = updated(lambda: RAdam(0.1), initial, gradients, way)
    assert_close(values, expected)


@pytest.mark.parametrize(("beta_2", "first"), [(0.9, 5), (0.7, 6), (0.6, None), (0.5, None)])
def test_the_second_moment_s_memory_says_when_it_is_rectified(beta_2, first):
    initial, gradients = random_values(NUM_STEPS)
    expected, rectified_steps = by_the_paper(initial, gradients, [0.1] * NUM_STEPS, beta_2)
    assert rectified_steps[:1] == ([first] if first else [])
    values, _ = updated(lambda: RAdam(0.1, beta_2=beta_2), initial, gradients)
    assert_close(values, expected)


@pytest.mark.parametrize("way", ["graph", "two replicas"])
def test_weight_decay_is_decoupled_and_follows_the_schedule(way):
    initial, gradients = random_values(NUM_STEPS)
    rates = [0.1 * 0.5**t for t in range(NUM_STEPS)]
    expected, _ = by_the_paper(initial, gradients, rates, weight_decay=0.3, decayed=[0])

    def optimizer():
        halving = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        return RAdam(halving, weight_decay=0.3)

    values, _ = updated(optimizer, initial, gradients, way, exclude=[1])
    assert_close(values, expected)


def test_gradients_of_rows_count_as_the_dense_ones_that_they_are():
    table = np.ones((4, 2))
    dense = np.array([[0, 0], [3, 3], [0, 0], [1, 1]])
    expected, _ = by_the_paper([table], [[dense]] * 6, [0.1] * 6)
    of_rows = rows([1, 3, 1], [[1, 1], [1, 1], [2, 2]], 4)
    values, _ = updated(lambda: RAdam(0.1), [table], [[of_rows]] * 6)
    assert_close(values, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta_1": 1.0}, r"optimizer\.beta_1=1\.0: from 0 to below 1"),
        ({"beta_2": -0.1}, r"optimizer\.beta_2=-0\.1: from 0 to below 1"),
        ({"epsilon": 0.0}, r"optimizer\.epsilon=0\.0: above 0"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RAdam(**arguments)


def test_it_can_be_saved_with_its_config():
    optimizer = RAdam(0.02, beta_2=0.99, epsilon=1e-5, weight_decay=0.1)
    same = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(same) is RAdam
    assert same.get_config() == optimizer.get_config()
    assert (same.beta_2, same.epsilon, same.weight_decay) == (0.99, 1e-5, 0.1)
