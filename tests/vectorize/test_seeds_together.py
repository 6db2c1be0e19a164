"""Several seeds trained together are what each of them is when trained alone."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.stateless_dropout import StatelessDropout
from tests.toy import toy_arrays
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.data.augment.padded_crop import PaddedCrop
from trainer.data.data import Data
from trainer.optimizers import SGD
from trainer.signals import StopRequest
from trainer.trainer import Trainer
from trainer.update import Update
from trainer.vectorize.group import SeedGroup
from trainer.vectorize.refusals import NotVectorizedError

SEEDS = (3, 5)


def dense(seed, **arguments):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Dense(8, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
        StatelessDropout(0.3),
        keras.layers.Dense(3),
    ]
    data = Data(train=toy_arrays(70, 0), val=toy_arrays(22, 1), batch_size=8, seed=seed)
    return trainer(keras.Sequential(layers), data, **arguments)


def convolutional(seed, **arguments):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Conv2D(4, 3, padding="same"),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(4, 1),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.3, seed=seed),
        keras.layers.Dense(3),
    ]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 6, 6, 2)).astype("uint8")
    labels = rng.integers(0, 3, 48).astype("int32")
    data = Data(
        train=(images[:32], labels[:32]), val=(images[32:], labels[32:]), batch_size=8,
        augment={"shift": PaddedCrop(1, "zero")}, seed=seed,
    )  # fmt: skip
    data.transform.augment_until = 4
    return trainer(keras.Sequential(layers), data, **arguments)


def trainer(model, data, **arguments):
    return Trainer(
        model,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        SGD(0.1, momentum=0.9),
        data,
        metrics={"accuracy": keras.metrics.SparseCategoricalAccuracy()},
        **arguments,
    )


def together(make, durations, **arguments):
    """Train each seed in a group; return by seed its Trainer, or the error that ended it."""
    group = SeedGroup(len(durations), StopRequest())
    found = {}

    def train(index, seed, duration):
        def one():
            one = make(seed, **{name: of(seed) for name, of in arguments.items()})
            group.join(index, one)
            one.fit(duration)
            return one

        try:
            found[seed] = group.run(index, one)
        except Exception as error:
            found[seed] = error

    threads = [
        threading.Thread(target=train, args=(index, *item))
        for index, item in enumerate(durations.items())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    return found


def assert_same_state(one, other, tolerance):
    theirs = other.variables
    for name, variable in one.variables.items():
        np.testing.assert_allclose(
            variable.numpy(), theirs[name].numpy(), rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("make", [dense, convolutional])
def test_each_seed_ends_as_it_does_alone(make):
    update = {"update": lambda seed: Update(ema_decay=0.9, clip_global_norm=1.0)}
    found = together(make, dict.fromkeys(SEEDS, "6st"), **update)
    for seed in SEEDS:
        alone = make(seed, update=update["update"](seed))
        history = alone.fit("6st").history
        assert_same_state(alone, found[seed], 2e-5)
        assert found[seed].evaluate()["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert not np.allclose(*(found[s].model.trainable_variables[0].numpy() for s in SEEDS))


def test_a_seed_that_is_behind_or_ends_earlier_is_not_held_to_the_others(tmp_path):
    folders = {"run_dir": lambda seed: tmp_path / str(seed)}
    dense(SEEDS[0], run_dir=tmp_path / str(SEEDS[0])).fit("11st")
    found = together(dense, {SEEDS[0]: "30st", SEEDS[1]: "20st"}, **folders)
    assert [found[seed].step for seed in SEEDS] == [30, 20]
    for seed, duration in zip(SEEDS, ("30st", "20st"), strict=True):
        alone = dense(seed)
        alone.fit(duration)
        assert_same_state(alone, found[seed], 1e-4)


class Changing(TrainerCallback):
    def next_change(self, step):
        return 3


class Noisy(keras.layers.Layer):
    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))


def noisy(seed):
    data = Data(train=toy_arrays(70, 0), batch_size=8, seed=seed)
    return trainer(keras.Sequential([Noisy(), keras.layers.Dense(3)]), data)


def test_what_has_no_form_for_several_seeds_is_refused_before_the_first_step():
    found = together(noisy, dict.fromkeys(SEEDS, "2st"))
    found |= {9: together(dense, {9: "2st"}, callbacks=lambda seed: [Changing()])[9]}
    errors = [str(found[key]) for key in (*SEEDS, 9)]
    assert all(isinstance(error, NotVectorizedError) for error in found.values()), found
    assert "RandomStandardNormal" in errors[0] and "Changing" in errors[2]
    assert all("leave out vectorize=seeds" in error for error in errors)
