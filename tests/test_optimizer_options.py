"""The contract of every option of `conf/optimizer`, and that each optimizer of Keras has one."""

import inspect
import math
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from toy import toy_model, toy_trainer, weights

from models.mini_inception import MiniInception
from models.mlp import MLP
from trainer import distribution, targets
from trainer.checkpoint import Checkpoint, load, save
from trainer.optimizers import Muon
from trainer.state import restore, snapshot

FOLDER = Path(__file__).resolve().parent.parent / "conf" / "optimizer"
# Groups are of the variables of one model, with which they are tried.
OPTIONS = sorted(p.stem for p in FOLDER.glob("*.yaml") if "\ngroups:" not in p.read_text())
# Not optimizers themselves: the base class, and what wraps others.
WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}


def optimizer(option):
    return targets.instantiate(OmegaConf.to_container(OmegaConf.load(FOLDER / f"{option}.yaml")))


def test_every_optimizer_of_keras_has_an_option():
    public = {
        name
        for name, found in inspect.getmembers(keras.optimizers, inspect.isclass)
        if issubclass(found, keras.optimizers.Optimizer)
    }
    assert public - WRAPPERS <= {type(optimizer(option)).__name__ for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_it_is_and_what_its_rate_is(option):
    text = (FOLDER / f"{option}.yaml").read_text()
    assert re.match(r"# .+", text)
    assert re.search(r"^learning_rate: \S+ +# (the peak of the schedule|throughout)", text, re.M)


@pytest.mark.parametrize("option", OPTIONS)
def test_it_learns_and_goes_on_from_a_checkpoint_to_the_bit(option, tmp_path):
    def trainer_with_a_convolution():
        convolution = [keras.layers.Reshape((2, 2, 2)), keras.layers.Conv2D(3, 2)]
        model = toy_model(*convolution, keras.layers.Flatten())
        return toy_trainer(model=model, optimizer=optimizer(option))

    trainer, resumed = trainer_with_a_convolution(), trainer_with_a_convolution()
    before = weights(trainer)
    first = trainer.train_chunk(0, 3)["loss"]
    for value, old in zip(weights(trainer), before, strict=True):
        assert np.isfinite(value).all() and not np.array_equal(value, old)

    path = tmp_path / "state.safetensors"
    save(path, Checkpoint(3, snapshot(trainer.variables), {}))
    restore(resumed.variables, load(path).arrays, source="the test")
    for both in (trainer, resumed):
        both.train_chunk(3, 5)
    at_the_end = snapshot(resumed.variables)
    for name, value in snapshot(trainer.variables).items():
        np.testing.assert_array_equal(at_the_end[name], value, err_msg=name)

    last = np.concatenate([trainer.train_chunk(8 + 200 * k, 200)["loss"] for k in range(2)])
    assert last[-50:].mean() < first.mean()


@pytest.mark.parametrize("option", OPTIONS)
def test_it_works_in_bfloat16(option):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = toy_trainer(optimizer=optimizer(option))
        scalars = trainer.train_chunk(0, 5)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(scalars["loss"]).all()
    for value in weights(trainer):
        assert value.dtype == np.float32 and np.isfinite(value).all()


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_two_replicas_train_as_one_device(option):
    one = toy_trainer(optimizer=optimizer(option))
    strategy = distribution.mirrored(2)
    with strategy.scope():
        model, same_optimizer = toy_model(), optimizer(option)
    two = toy_trainer(model=model, optimizer=same_optimizer, strategy=strategy)
    for trainer in (one, two):
        trainer.train_chunk(0, 5)
    for value, other in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(other, value, atol=1e-6)


# ---- Muon


@pytest.mark.parametrize(
    ("model", "shape"),
    [(MLP(10, [16, 8]), (4, 8, 8, 1)), (MiniInception(10, width=0.25), (4, 28, 28, 3))],
    ids=["MLP", "MiniInception"],
)
def test_muon_gets_all_kernels_but_that_of_the_logits(model, shape):
    model(tf.zeros(shape))
    muon = optimizer("muon")
    muon.build(model.trainable_variables)
    by_adam = {
        variable.path
        for variable, velocity in zip(model.trainable_variables, muon.adam_velocities, strict=True)
        if velocity is not None
    }
    assert by_adam == {
        variable.path
        for variable in model.trainable_variables
        if "logits" in variable.path or not variable.path.endswith("kernel")
    }
    assert len(by_adam) < len(model.trainable_variables)


def test_embeddings_and_excluded_names_get_adam():
    embedding = keras.layers.Embedding(5, 3)
    head = keras.layers.Dense(2, name="head")
    embedding.build()
    head.build((None, 3))
    muon = Muon(exclude_layers=["he.d"])
    muon.build([embedding.embeddings, head.kernel])
    assert all(velocity is not None for velocity in muon.adam_velocities)


def plain_muon_step(gradient, learning_rate, momentum, num_iterations=5):
    """The first step on a zero matrix [rows, columns], as in github.com/KellerJordan/Muon."""
    x = gradient + momentum * gradient  # Nesterov, the buffer being the gradient itself
    x = x.T if x.shape[0] > x.shape[1] else x
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(num_iterations):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    x = x.T if gradient.shape[0] > gradient.shape[1] else x
    return -learning_rate * 0.2 * math.sqrt(max(gradient.shape)) * x


@pytest.mark.parametrize("shape", [(6, 4), (3, 5), (3, 3, 2, 8), (1, 1, 3, 16), (3, 4, 2)])
def test_muon_orthogonalizes_a_kernel_as_a_matrix(shape):
    gradient = np.random.default_rng(0).normal(size=shape).astype("float32")
    variable = keras.Variable(np.zeros(shape, "float32"))
    muon = Muon(learning_rate=0.1, weight_decay=None)
    muon.build([variable])
    muon.apply([tf.constant(gradient)], [variable])
    plain = plain_muon_step(gradient.reshape(-1, shape[-1]), 0.1, 0.95)
    np.testing.assert_allclose(variable.numpy(), plain.reshape(shape), rtol=2e-3, atol=1e-5)


def test_muon_on_matrices_is_the_one_of_keras():
    gradient = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    values = []
    for kind in (Muon, keras.optimizers.Muon):
        variable = keras.Variable(np.ones((6, 4), "float32"))
        muon = kind(learning_rate=0.1)
        muon.build([variable])
        for _ in range(3):
            muon.apply([tf.constant(gradient)], [variable])
        values.append(variable.numpy())
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_muon_can_be_saved_with_its_config():
    muon = Muon(0.02, exclude_layers=["logits"], rms_rate=None)
    same = keras.optimizers.deserialize(keras.optimizers.serialize(muon))
    assert type(same) is Muon
    assert (same.exclude_layers, same.rms_rate) == (["logits"], None)
