"""The update rule on gradients of rows: as if they were dense, and other rows left alone."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import toy_trainer, weights

from trainer import ParameterGroups, Update, distribution
from trainer.data.data import Data
from trainer.data.order import ShuffledOrder
from trainer.optimizers import Adam, LazyAdam, Lookahead
from trainer.state import restore, snapshot

NUM_ROWS, BATCH_SIZE = 40, 4
STRATEGIES = {1: distribution.single_device, 2: lambda: distribution.mirrored(2)}


def words():
    """Word numbers below 20, so that an example and a batch have some of them twice."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 20, (24, 5)).astype("int32"), np.arange(24, dtype="int32") % 3


def embedding_trainer(make_optimizer, strategy=None, update=None, regularizer=None, **arguments):
    strategy = strategy or distribution.single_device()
    with strategy.scope():
        keras.utils.set_random_seed(0)
        embedding = keras.layers.Embedding(NUM_ROWS, 2, embeddings_regularizer=regularizer)
        head = [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)]
        return toy_trainer(
            model=keras.Sequential([embedding, *head]),
            optimizer=make_optimizer(),
            data=Data(train=words(), batch_size=BATCH_SIZE),
            strategy=strategy,
            update=update,
            **arguments,
        )


def table_of(trainer):
    return trainer.model.trainable_variables[0].numpy()


def lazy(**arguments):
    return LazyAdam(0.1, epsilon=1.0, **arguments)  # far from invariant to a gradient's size


def looked_up(first_step, num_steps):
    order = ShuffledOrder(24, BATCH_SIZE, seed=0).indices(first_step, num_steps)
    return words()[0][order.reshape(-1)]


CASES = {
    "alone": (lambda optimizer: optimizer, False),
    "XLA": (lambda optimizer: optimizer, True),
    "within lookahead": (lambda optimizer: Lookahead(optimizer, sync_period=2), False),
    "in a group": (lambda optimizer: ParameterGroups(Adam(0.1), {"*embeddings": optimizer}), False),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_that_no_batch_looks_up_stay_as_they_are_to_the_bit(case):
    wrap, jit = CASES[case]
    trainer = embedding_trainer(lambda: wrap(lazy(weight_decay=0.5)), jit=jit)
    before = table_of(trainer)
    trainer.train_chunk(0, 2)
    changed = (table_of(trainer) != before).all(axis=1)
    rows = np.unique(looked_up(0, 2))
    assert 0 < len(rows) < 20
    assert np.flatnonzero(changed).tolist() == rows.tolist()


CLIPS = {"clip_global_norm": 0.02, "clip_norm": 0.02, "clip_value": 0.01, None: None}


def update_that(clip):
    return Update(**{clip: CLIPS[clip]} if clip else {})


@functools.cache
def first_step_of_adam(clip):
    trainer = embedding_trainer(lambda: Adam(0.1, epsilon=1.0), update=update_that(clip))
    return trainer.train_chunk(0, 1)["gradient_norm"], weights(trainer)


@pytest.mark.parametrize(
    ("clip", "num_replicas"), [*[(clip, 1) for clip in CLIPS], ("clip_global_norm", 2)]
)
def test_norm_clipping_and_mean_are_those_of_dense_gradients(clip, num_replicas):
    assert len(np.unique(looked_up(0, 1)[:2])) < 10  # some rows twice, within a replica's share too
    trainer = embedding_trainer(lazy, STRATEGIES[num_replicas](), update_that(clip))
    norm, expected = first_step_of_adam(clip)
    np.testing.assert_allclose(trainer.train_chunk(0, 1)["gradient_norm"], norm, rtol=1e-5)
    # Where nothing has happened before, Adam leaves rows without gradient where they are.
    for value, other in zip(weights(trainer), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-7)
    if clip:
        assert np.abs(expected[0] - first_step_of_adam(None)[1][0]).max() > 1e-4


def test_two_replicas_go_on_as_one_device():
    one = embedding_trainer(lambda: lazy(weight_decay=0.1))
    two = embedding_trainer(lambda: lazy(weight_decay=0.1), STRATEGIES[2]())
    for trainer in (one, two):
        trainer.train_chunk(0, 6)
    for value, other in zip(weights(two), weights(one), strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["accumulation", "regularizer"])
def test_gradients_that_are_added_up_are_dense_and_it_is_adam(kind):
    update = Update(accumulate_steps=2) if kind == "accumulation" else None
    regularizer = keras.regularizers.L2(0.01) if kind == "regularizer" else None
    trainers = [
        embedding_trainer(kind_of_adam, update=update, regularizer=regularizer)
        for kind_of_adam in (lazy, lambda: Adam(0.1, epsilon=1.0))
    ]
    for trainer in trainers:
        trainer.train_chunk(0, 4)
    for value, other in zip(*map(weights, trainers), strict=True):
        np.testing.assert_array_equal(value, other)


def test_other_optimizers_get_the_dense_gradient():
    class Watched(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            kinds.append(type(gradient))
            super().update_step(gradient, variable, learning_rate)

    kinds = []
    embedding_trainer(lambda: Watched(0.1)).train_chunk(0, 1)
    assert not any(issubclass(kind, tf.IndexedSlices) for kind in kinds)


def test_it_goes_on_from_a_saved_state_to_the_bit():
    def make_trainer():
        return embedding_trainer(lambda: Lookahead(lazy(weight_decay=0.1), sync_period=4))

    whole, first, resumed = make_trainer(), make_trainer(), make_trainer()
    whole.train_chunk(0, 10)
    first.train_chunk(0, 5)
    restore(resumed.variables, snapshot(first.variables), "the test")
    resumed.train_chunk(5, 5)
    at_the_end = snapshot(resumed.variables)
    for name, value in snapshot(whole.variables).items():
        np.testing.assert_array_equal(at_the_end[name], value, err_msg=name)


def test_what_is_held_of_a_table_is_not_written_over():
    trainer = embedding_trainer(lazy)
    for first_step in (0, 2):
        held = {name: tf.convert_to_tensor(v.value) for name, v in trainer.variables.items()}
        before = snapshot(trainer.variables)
        trainer.train_chunk(first_step, 2)
        for name, value in held.items():
            np.testing.assert_array_equal(value.numpy(), before[name], err_msg=name)
