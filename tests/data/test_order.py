import numpy as np
import pytest

from trainer.data.order import PADDING, SequentialOrder, ShuffledOrder


def test_an_epoch_visits_every_example_at_most_once_and_drops_the_rest():
    order = ShuffledOrder(num_examples=103, batch_size=10, seed=0)
    assert order.steps_per_epoch == 10
    seen = order.indices(0, 10).ravel()
    assert len(set(seen)) == 100
    assert set(seen) <= set(range(103))


def test_the_order_is_a_function_of_seed_and_step_alone():
    order = ShuffledOrder(num_examples=50, batch_size=8, seed=3)
    whole = order.indices(0, 40)
    for first, num in [(0, 1), (5, 3), (35, 5), (11, 20), (2, 2)]:
        np.testing.assert_array_equal(order.indices(first, num), whole[first : first + num])
    same = ShuffledOrder(num_examples=50, batch_size=8, seed=3)
    np.testing.assert_array_equal(same.indices(17, 4), whole[17:21])


def test_epochs_and_seeds_differ():
    order = ShuffledOrder(num_examples=50, batch_size=50, seed=0)
    other = ShuffledOrder(num_examples=50, batch_size=50, seed=1)
    epochs = order.indices(0, 3)
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], other.indices(0, 1)[0])


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(ValueError, match=r"data\.batch_size=64: .*only 50 examples"):
        ShuffledOrder(num_examples=50, batch_size=64, seed=0)


def test_an_evaluation_visits_every_example_once_and_pads():
    order = SequentialOrder(num_examples=10, batch_size=4)
    assert order.steps_per_epoch == 3
    np.testing.assert_array_equal(
        order.indices(0, 3), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, PADDING, PADDING]]
    )
    np.testing.assert_array_equal(order.indices(2, 1), [[8, 9, PADDING, PADDING]])
