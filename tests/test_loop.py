import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import toy_arrays, toy_model, toy_trainer, weights

from models.mini_inception import MiniInception
from trainer import distribution
from trainer.data.data import Data
from trainer.loop import CAPACITY, Pace


def test_auto_compiles_dense_networks(tmp_path):
    trainer = toy_trainer(jit="auto")
    trainer.train_chunk(0, 3)
    assert trainer.chunk.is_jit_compiled


def test_auto_leaves_convolutions_alone():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (8, 8, 8, 1), dtype="uint8"), np.arange(8) % 3
    data = Data(train=(images, labels), batch_size=8)
    trainer = toy_trainer(model=MiniInception(3, width=0.05), data=data, jit="auto")
    trainer.train_chunk(0, 1)
    assert not trainer.chunk.is_jit_compiled


def test_auto_leaves_iterators_alone():
    dataset = tf.data.Dataset.from_tensor_slices(toy_arrays(16, 0)).batch(8)
    trainer = toy_trainer(data=Data(train=dataset), jit="auto")
    trainer.train_chunk(0, 1)
    assert not trainer.chunk.is_jit_compiled
    with pytest.raises(ValueError, match="jit=true: XLA takes no batches from an iterator"):
        toy_trainer(data=Data(train=dataset), jit=True)


def test_several_replicas_are_not_compiled():
    strategy = distribution.mirrored(2)
    with strategy.scope():
        parts = {"model": toy_model(), "optimizer": keras.optimizers.SGD(0.1), "strategy": strategy}
        toy_trainer(**parts, jit="auto").train_chunk(0, 1)
        with pytest.raises(ValueError, match="jit=true: XLA compiles for one device"):
            toy_trainer(**parts, jit=True)


def test_a_compiled_chunk_trains_as_the_plain_one():
    plain, compiled = toy_trainer(jit=False), toy_trainer(jit=True)
    expected, scalars = plain.train_chunk(0, 20), compiled.train_chunk(0, 20)
    for name, values in expected.items():
        np.testing.assert_allclose(scalars[name], values, rtol=1e-4)
    for a, b in zip(weights(plain), weights(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_compiled_chunk_has_one_trace_for_all_lengths_and_places():
    trainer = toy_trainer(jit=True)
    for step, num_steps in [(0, 1), (1, 7), (8, 3), (11, 20)]:
        trainer.train_chunk(step, num_steps)
    assert trainer.chunk.num_traces == 1


def test_the_length_of_compiled_chunks_changes_nothing():
    whole, parts = toy_trainer(jit=True), toy_trainer(jit=True)
    whole.train_chunk(0, 12)
    for step, num_steps in [(0, 5), (5, 7)]:
        parts.train_chunk(step, num_steps)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_pace_grows_to_a_second_and_keeps_within_bounds():
    pace = Pace(seconds=1e9)
    lengths = []
    for _ in range(8):
        lengths.append(pace.num_steps(at_most=10**6))
        pace.done(lengths[-1])
    assert lengths[0] == lengths[1] == 1
    assert max(lengths) == CAPACITY
    assert pace.num_steps(at_most=5) == 5
    slow = Pace(seconds=1e-9)
    for _ in range(3):
        num_steps = slow.num_steps(at_most=100)
        slow.done(num_steps)
    assert num_steps == 1
