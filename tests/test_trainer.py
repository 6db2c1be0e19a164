import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import (
    BATCH_SIZE,
    NUM_TRAIN,
    NUM_VAL,
    toy_arrays,
    toy_data,
    toy_model,
    toy_trainer,
    weights,
)

from trainer import distribution
from trainer.data.data import Data
from trainer.data.order import ShuffledOrder
from trainer.loop import CAPACITY
from trainer.losses import CrossEntropy
from trainer.trainer import Trainer


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def linear_model(**arguments):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Dense(3, **arguments)])


def test_sgd_steps_equal_the_ones_computed_by_hand():
    trainer = toy_trainer(model=linear_model(), optimizer=keras.optimizers.SGD(0.1))
    kernel, bias = weights(trainer)
    features, labels = toy_arrays(70, 0)
    for rows in ShuffledOrder(70, BATCH_SIZE, seed=0).indices(0, 5):
        x, y = features[rows], np.eye(3)[labels[rows]]
        error = (softmax(x @ kernel + bias) - y) / BATCH_SIZE
        kernel, bias = kernel - 0.1 * x.T @ error, bias - 0.1 * error.sum(axis=0)
    trainer.fit("5st")
    np.testing.assert_allclose(weights(trainer)[0], kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights(trainer)[1], bias, rtol=1e-5, atol=1e-6)


def test_the_loss_adds_the_models_own_penalties_once():
    regularizer = keras.regularizers.L2(0.5)
    trainer = toy_trainer(model=linear_model(kernel_regularizer=regularizer))
    plain = toy_trainer(model=linear_model())
    penalty = 0.5 * np.square(weights(trainer)[0]).sum()
    assert trainer.evaluate()["loss"] == pytest.approx(plain.evaluate()["loss"] + penalty, rel=1e-5)
    loss, plain_loss = (t.train_chunk(0, 1)["loss"][0] for t in (trainer, plain))
    assert loss == pytest.approx(plain_loss + penalty, rel=1e-5)


def test_example_weights_scale_the_loss_of_their_examples():
    features, labels = toy_arrays(8, 0)
    weight = np.array([0, 0, 0, 0, 2, 2, 2, 2], "float32")
    weighted = Data(train=(features, labels, weight), batch_size=8)
    half = Data(train=(features[4:], labels[4:]), batch_size=4)
    one, other = (
        toy_trainer(model=linear_model(), optimizer=keras.optimizers.SGD(0.1), data=data)
        for data in (weighted, half)
    )
    one.fit("1st"), other.fit("1st")
    np.testing.assert_allclose(weights(one)[0], weights(other)[0], rtol=1e-5)


def test_an_evaluation_counts_every_example_exactly_once():
    trainer = toy_trainer()
    features, labels = toy_arrays(NUM_VAL, 1)
    logits = trainer.model(features).numpy()
    expected = -np.log(softmax(logits)[np.arange(NUM_VAL), labels]).mean()
    values = trainer.evaluate()
    assert values["loss"] == pytest.approx(expected, rel=1e-5)
    assert values["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_training_and_evaluation_are_traced_once_each():
    trainer = toy_trainer()
    trainer.fit("3ep")
    trainer.evaluate()
    assert trainer._train_chunk.num_traces == 1
    assert trainer._test_chunks["val"].num_traces == 1


@pytest.mark.parametrize("lengths", [[1] * 12, [5, 7], [3, 1, 8]])
def test_the_length_of_chunks_changes_nothing(lengths):
    whole, parts = toy_trainer(), toy_trainer()
    expected = whole.train_chunk(0, 12)
    step, pieces = 0, []
    for num_steps in lengths:
        pieces.append(parts.train_chunk(step, num_steps))
        step += num_steps
    for name, values in expected.items():
        np.testing.assert_array_equal(np.concatenate([p[name] for p in pieces]), values)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_chunk_may_be_longer_than_one_graph_call():
    whole, parts = toy_trainer(jit=True), toy_trainer(jit=True)
    losses = whole.train_chunk(0, CAPACITY + 3)["loss"]
    expected = [parts.train_chunk(0, CAPACITY)["loss"], parts.train_chunk(CAPACITY, 3)["loss"]]
    np.testing.assert_array_equal(losses, np.concatenate(expected))
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_returns_the_rate_it_was_made_with_and_the_gradients_norm():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.25])
    trainer = toy_trainer(model=linear_model(), optimizer=keras.optimizers.SGD(schedule))
    before = weights(trainer)
    scalars = trainer.train_chunk(0, 1)
    moves = [b - a for a, b in zip(before, weights(trainer), strict=True)]
    moved = np.sqrt(sum((move**2).sum() for move in moves))
    assert scalars["learning_rate"][0] == 0.5
    assert scalars["gradient_norm"][0] == pytest.approx(moved / 0.5, rel=1e-4)


def test_a_step_of_ones_own_is_all_that_research_overrides():
    from trainer import Trainer

    class SignTrainer(Trainer):
        def train_step(self, batch):
            with tf.GradientTape() as tape:
                logits = self.model(batch["features"], training=True)
                loss = tf.reduce_mean(self.loss(batch["label"], logits))
            variables = self.model.trainable_variables
            for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True):
                variable.assign_sub(0.01 * tf.sign(gradient))
            return {"loss": loss, "mine": loss * 2}

    trainer = toy_trainer(SignTrainer, model=linear_model())
    before = weights(trainer)
    scalars = trainer.train_chunk(0, 3)
    assert set(scalars) == {"loss", "mine"}
    np.testing.assert_allclose(scalars["mine"], 2 * scalars["loss"])
    assert np.abs(weights(trainer)[0] - before[0]).max() == pytest.approx(0.03, rel=1e-4)


def test_a_frozen_or_unused_variable_stays_as_it_is():
    model = toy_model()
    model.build((None, 4))
    model.layers[0].trainable = False
    trainer = toy_trainer(model=model)
    before = weights(trainer)
    trainer.fit("3st")
    after = weights(trainer)
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


def test_a_loss_that_does_not_depend_on_the_model_is_named():
    trainer = toy_trainer(loss=lambda labels, logits: tf.cast(labels, tf.float32))
    with pytest.raises(ValueError, match="no variable has a gradient"):
        trainer.fit("1st")


def test_metrics_that_make_their_variables_late_are_ready_before_tracing():
    class Late(keras.metrics.Metric):
        def __init__(self, name="late"):
            super().__init__(name=name)
            self.total = None

        def update_state(self, y_true, y_pred, sample_weight=None):
            if self.total is None:
                self.total = self.add_weight(shape=(), initializer="zeros", name="total")
            self.total.assign_add(tf.reduce_sum(sample_weight))

        def result(self):
            return self.total

        def get_config(self):
            return {"name": self.name}

    trainer = toy_trainer(metrics={"count": Late()})
    assert trainer.evaluate()["count"] == NUM_VAL


def test_a_user_dataset_trains_as_arrays_do():
    features, labels = toy_arrays(64, 0)
    dataset = tf.data.Dataset.from_tensor_slices((features, labels)).batch(8)
    trainer = toy_trainer(data=Data(train=dataset, val=dataset))
    history = trainer.fit("6ep").history
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_monitoring_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="monitor=val/acc: no such metric; there are train/loss"):
        toy_trainer(monitor="val/acc", data=toy_data())


def test_a_loss_for_soft_labels_alone_is_refused_before_training():
    features, labels = toy_arrays(32, 0)
    soft = np.eye(3, dtype="float32")[labels]
    data = Data(train=(features, soft), val=(features, labels), batch_size=8)

    def soft_cross_entropy(labels, logits):
        return keras.ops.categorical_crossentropy(labels, logits, from_logits=True)

    expected = "loss soft_cross_entropy does not take the integer labels"
    with pytest.raises(ValueError, match=expected):
        toy_trainer(data=data, loss=soft_cross_entropy, metrics={})
    for loss in (CrossEntropy(), keras.losses.CategoricalCrossentropy(from_logits=True)):
        toy_trainer(data=data, loss=loss, metrics={}).fit("1ep")


class Noisy(Trainer):
    scores = {"first_feature": "max", "noise": "min"}

    def train_step(self, batch):
        noise = tf.random.stateless_uniform([], self.random_key("noise"), alg="philox")
        other = tf.random.stateless_uniform([], self.random_key("other"), alg="philox")
        return {**super().train_step(batch), "noise": noise, "other": other}

    def test_step(self, batch):
        super().test_step(batch)
        size = batch["weight"].shape[0]
        noise = tf.random.stateless_uniform([size], self.random_key("noise"), alg="philox")
        return {"first_feature": batch["features"][:, 0], "noise": noise}


def test_what_a_rule_scores_is_averaged_over_the_examples():
    trainer = toy_trainer(Noisy, monitor="val/first_feature")
    features, _ = toy_arrays(NUM_VAL, 1)
    assert trainer.evaluate()["first_feature"] == pytest.approx(features[:, 0].mean(), rel=1e-5)
    assert trainer.monitor_mode == "max"
    assert trainer.evaluate()["noise"] == trainer.evaluate()["noise"]


def test_random_keys_differ_by_step_name_and_seed_alone():
    first = toy_trainer(Noisy).train_chunk(0, 4)
    again = toy_trainer(Noisy)
    again.train_chunk(0, 2)
    np.testing.assert_array_equal(again.train_chunk(2, 2)["noise"], first["noise"][2:])
    other_seed = toy_trainer(Noisy, data=toy_data(seed=1)).train_chunk(0, 4)
    assert len({*first["noise"], *first["other"], *other_seed["noise"]}) == 12


def test_random_keys_differ_by_replica():
    strategy = distribution.mirrored(2)
    with strategy.scope():
        model, optimizer = toy_model(), keras.optimizers.SGD(0.1)
    trainer = toy_trainer(Noisy, model=model, optimizer=optimizer, strategy=strategy)
    # The scalar of two replicas is the mean of theirs.
    both = trainer.train_chunk(0, 4)["noise"]
    assert not np.isclose(both, toy_trainer(Noisy).train_chunk(0, 4)["noise"]).any()


def test_a_random_key_is_for_a_step():
    with pytest.raises(ValueError, match=r"random_key\('noise'\): there is no step"):
        toy_trainer(Noisy).random_key("noise")


def test_scores_that_are_not_declared_are_refused():
    class Undeclared(Trainer):
        def test_step(self, batch):
            return {"margin": batch["weight"]}

    with pytest.raises(ValueError, match="scores: margin given, but declared are none"):
        toy_trainer(Undeclared).evaluate()


def test_a_metric_of_the_name_of_a_score_is_refused():
    with pytest.raises(ValueError, match="the name 'noise' is taken by a metric"):
        toy_trainer(Noisy, metrics={"noise": keras.metrics.Mean()})


def test_several_inputs_and_labels_go_by_name():
    class TwoInputs(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, name="dense")
            self.value = keras.layers.Dense(1, name="value")

        def call(self, inputs, training=False):
            x = tf.concat([inputs["left"], inputs["right"]], axis=-1)
            return {"class": self.dense(x), "value": self.value(x)}

    def loss(labels, outputs):
        errors = tf.square(labels["value"] - outputs["value"][:, 0])
        return errors + keras.losses.sparse_categorical_crossentropy(
            labels["class"], outputs["class"], from_logits=True
        )

    features, label = toy_arrays(NUM_TRAIN, 0)
    inputs = {"left": features[:, :1], "right": features[:, 1:]}
    data = Data(train=(inputs, {"class": label, "value": features[:, 0]}), batch_size=BATCH_SIZE)
    trainer = toy_trainer(model=TwoInputs(), loss=loss, data=data, metrics={})
    first = trainer.evaluate("train")["loss"]
    trainer.train_chunk(0, 200)
    assert trainer.evaluate("train")["loss"] < first / 2


def test_a_loss_of_ones_own_regresses_as_that_of_keras():
    features, _ = toy_arrays(NUM_TRAIN, 0)
    data = Data(train=(features, features[:, 0]), batch_size=BATCH_SIZE)

    def squared_error(values, outputs):
        return tf.reduce_mean(tf.square(outputs - values), axis=-1)

    def first_losses(loss):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(1)])
        return toy_trainer(model=model, loss=loss, data=data, metrics={}).train_chunk(0, 5)["loss"]

    expected = first_losses(keras.losses.MeanSquaredError())
    np.testing.assert_allclose(first_losses(squared_error), expected, rtol=1e-5)


def test_a_function_of_keras_may_be_partial():
    class_numbers = functools.partial(keras.losses.mean_squared_error)
    losses = toy_trainer(loss=class_numbers, metrics={}).train_chunk(0, 3)["loss"]
    whole = toy_trainer(loss=keras.losses.mean_squared_error, metrics={}).train_chunk(0, 3)["loss"]
    np.testing.assert_array_equal(losses, whole)


def test_a_key_can_be_drawn_from_after_the_replicas_have_met():
    class Late(Trainer):
        def train_step(self, batch):
            scalars = super().train_step(batch)
            noise = tf.random.stateless_uniform([], self.random_key("late"), alg="philox")
            return {**scalars, "noise": noise}

    strategy = distribution.mirrored(2)
    with strategy.scope():
        model, optimizer = toy_model(), keras.optimizers.SGD(0.1)
    trainer = toy_trainer(Late, model=model, optimizer=optimizer, strategy=strategy)
    assert len(set(trainer.train_chunk(0, 3)["noise"])) == 3


@pytest.mark.parametrize("monitor", ["train/gradient_norm", "val/foo"])
def test_monitoring_what_is_not_measured_is_refused_before_training(monitor):
    with pytest.raises(ValueError, match=f"monitor={monitor}: no such metric"):
        toy_trainer(monitor=monitor, monitor_mode="min", data=toy_data())
