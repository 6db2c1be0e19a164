"""The fused optimizers against Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import toy_model, toy_trainer

from trainer import distribution
from trainer.optimizers import fused
from trainer.state import snapshot

CASES = {
    "plain SGD": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "Nesterov": (
        "SGD",
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "Adam": ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    "amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "AdamW": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
}
KERNELS = {"momentum": "ResourceApplyKerasMomentum", "AdamW": "ResourceApplyAdam"}


def trained(module, case, num_replicas=1, **arguments):
    kind, settings = CASES[case]
    strategy = distribution.mirrored(2) if num_replicas == 2 else distribution.single_device()
    with strategy.scope():
        optimizer = getattr(module, kind)(**settings)
        trainer = toy_trainer(
            model=toy_model(), optimizer=optimizer, strategy=strategy, **arguments
        )
    trainer.train_chunk(0, 20)
    return trainer


@pytest.mark.parametrize(
    ("num_replicas", "jit"), [(1, False), (1, True), (2, False)], ids=["one", "XLA", "two replicas"]
)
@pytest.mark.parametrize("case", CASES)
def test_weights_and_state_are_those_of_keras(case, num_replicas, jit):
    ours = trained(fused, case, num_replicas, jit=jit)
    keras_own = trained(keras.optimizers, case, num_replicas, jit=jit)
    expected = snapshot(keras_own.variables)
    actual = snapshot(ours.variables)
    assert list(actual) == list(expected)
    for name, value in actual.items():
        np.testing.assert_allclose(value, expected[name], rtol=2e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(("case", "kernel"), list(KERNELS.items()))
def test_each_variable_is_updated_by_one_kernel(case, kernel):
    kind, settings = CASES[case]
    optimizer = getattr(fused, kind)(**settings)
    variables = [keras.Variable(np.ones(3, "float32")) for _ in range(4)]
    optimizer.build(variables)
    traced = tf.function(lambda: optimizer.apply([tf.ones(3)] * 4, variables))
    traced = traced.get_concrete_function()
    assert [node.op for node in traced.graph.as_graph_def().node].count(kernel) == 4


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_a_few_rows_are_left_to_keras(case):
    values = []
    for module in (fused, keras.optimizers):
        kind, settings = CASES[case]
        optimizer = getattr(module, kind)(**settings)
        table = keras.Variable(np.ones((5, 2), "float32"))
        optimizer.build([table])
        rows = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 3]), tf.constant([5, 2]))
        optimizer.apply([rows], [table])
        values.append(table.numpy())
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("case", CASES)
def test_they_can_be_saved_with_their_config(case):
    kind, settings = CASES[case]
    optimizer = getattr(fused, kind)(**settings)
    same = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(same) is type(optimizer)
    assert same.get_config() == optimizer.get_config()
