import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import toy_trainer, weights

from trainer.losses import CrossEntropy, PythonFunction
from trainer.losses.python_function import cross_entropy


def test_it_trains_as_the_same_loss_in_the_graph(caplog):
    with caplog.at_level(logging.WARNING):
        loss = PythonFunction(cross_entropy)
    assert "loss cross_entropy runs in Python at every step" in caplog.text
    trainer, same = toy_trainer(loss=loss, jit="auto"), toy_trainer(loss=CrossEntropy())
    trainer.train_chunk(0, 3)
    same.train_chunk(0, 3)
    assert not trainer.chunk.is_jit_compiled
    for there, here in zip(weights(trainer), weights(same), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6)


def test_it_runs_at_every_step_and_sees_values():
    seen = []

    def watched(labels, outputs):
        seen.append(labels.numpy().tolist())
        return cross_entropy(labels, outputs)

    trainer = toy_trainer(loss=PythonFunction(watched))
    num_before = len(seen)
    trainer.train_chunk(0, 4)
    assert len(seen) == num_before + 4
    assert all(len(labels) == 8 for labels in seen[num_before:])


def test_xla_is_refused_with_a_line_that_says_why():
    trainer = toy_trainer(loss=PythonFunction(cross_entropy), jit=True)
    with pytest.raises(ValueError, match=r"jit=true: XLA does not compile a Python function.*auto"):
        trainer.fit("1st")


@pytest.mark.parametrize("detour", [lambda z: z.numpy(), tf.stop_gradient])
def test_a_loss_without_a_gradient_is_refused_before_training(detour):
    def in_numpy(labels, outputs):
        return tf.reduce_sum(detour(outputs), axis=-1)

    with pytest.raises(ValueError, match="loss in_numpy: no gradient flows from it to the outputs"):
        toy_trainer(loss=PythonFunction(in_numpy))


def test_it_takes_outputs_by_name():
    def both(labels, outputs):
        return tf.square(labels["a"] - outputs["a"][:, 0]) + outputs["b"][:, 0]

    labels, outputs = {"a": tf.ones([2])}, {"a": tf.zeros([2, 1]), "b": tf.ones([2, 1])}
    compiled = tf.function(PythonFunction(both))(labels, outputs)
    np.testing.assert_array_equal(compiled, [2.0, 2.0])
    assert compiled.dtype == tf.float32


def test_its_link_is_that_of_its_function():
    def mine(labels, outputs):
        return outputs[:, 0]

    mine.activation = "sigmoid"
    assert PythonFunction(mine).activation == "sigmoid"
    assert PythonFunction(keras.losses.mean_squared_error).activation == "linear"
