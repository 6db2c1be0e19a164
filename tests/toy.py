"""A small problem and the Trainer for it, for tests of the loop."""

import keras
import numpy as np

from trainer.data.data import Data
from trainer.trainer import Trainer

NUM_TRAIN, NUM_VAL, BATCH_SIZE = 70, 22, 8
STEPS_PER_EPOCH = NUM_TRAIN // BATCH_SIZE


def toy_arrays(num_examples, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num_examples).astype("int32")
    features = rng.normal(size=(num_examples, 4)).astype("float32")
    features[np.arange(num_examples), labels] += 1.5
    return features, labels


def toy_data(**arguments):
    return Data(
        train=toy_arrays(NUM_TRAIN, 0), val=toy_arrays(NUM_VAL, 1), batch_size=BATCH_SIZE,
        **arguments,
    )  # fmt: skip


def toy_model(*extra_layers):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="relu"), *extra_layers, keras.layers.Dense(3)]
    return keras.Sequential(layers)


def toy_trainer(kind=Trainer, **arguments):
    defaults = {
        "model": None,
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "optimizer": None,
        "data": None,
        "metrics": {"accuracy": keras.metrics.SparseCategoricalAccuracy()},
    }
    parts = defaults | arguments
    parts["model"] = parts["model"] or toy_model()
    parts["optimizer"] = parts["optimizer"] or keras.optimizers.Adam(0.01)
    parts["data"] = parts["data"] or toy_data()
    return kind(**parts)


def weights(trainer):
    return [v.numpy() for v in trainer.model.variables]
