"""The update rule against its plain definition, on one and on two replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import toy_arrays, toy_data, toy_model, toy_trainer, weights

from models.layers import FusedBatchNormalization
from trainer import ParameterGroups, Update, distribution
from trainer.data.data import Data
from trainer.data.order import ShuffledOrder

STRATEGIES = {"one": distribution.single_device, "two": lambda: distribution.mirrored(2)}


@pytest.fixture(params=STRATEGIES, scope="module")
def strategy(request):
    return STRATEGIES[request.param]()


def linear_trainer(strategy, update=None, make_optimizer=None, **arguments):
    """A linear classifier without bias, whose gradients are one line of NumPy."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(3, use_bias=False)])
        optimizer = make_optimizer() if make_optimizer else keras.optimizers.SGD(0.1)
        return toy_trainer(
            model=model, optimizer=optimizer, strategy=strategy, update=update, **arguments
        )


FEATURES, LABELS = toy_arrays(70, 0)
ROWS = ShuffledOrder(70, 8, seed=0).indices(0, 24)


def gradient(kernel, rows):
    logits = FEATURES[rows] @ kernel
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    return FEATURES[rows].T @ (softmax - np.eye(3)[LABELS[rows]]) / len(rows)


def kernel_of(trainer):
    return trainer.model.trainable_variables[0].numpy().astype("float64")


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)


def test_accumulated_steps_are_one_step_on_the_large_batch(strategy):
    trainer = linear_trainer(strategy, Update(accumulate_steps=4))
    kernel = kernel_of(trainer)
    trainer.train_chunk(0, 8)
    for window in (ROWS[:4], ROWS[4:8]):
        kernel = kernel - 0.1 * np.mean([gradient(kernel, rows) for rows in window], axis=0)
    close(kernel_of(trainer), kernel)


def test_a_partial_last_window_is_the_mean_of_what_it_has(strategy):
    trainer = linear_trainer(strategy, Update(accumulate_steps=4))
    kernel = kernel_of(trainer)
    trainer.fit("6st")
    for window in (ROWS[:4], ROWS[4:6]):
        kernel = kernel - 0.1 * np.mean([gradient(kernel, rows) for rows in window], axis=0)
    close(kernel_of(trainer), kernel)
    assert int(trainer.optimizer.iterations.numpy()) == 2


def test_a_schedule_advances_once_an_update(strategy):
    def optimizer():
        halves = keras.optimizers.schedules.ExponentialDecay(0.4, 1, 0.5)
        return keras.optimizers.SGD(halves)

    trainer = linear_trainer(strategy, Update(accumulate_steps=3), optimizer)
    kernel = kernel_of(trainer)
    scalars = trainer.train_chunk(0, 6)
    for rate, window in ((0.4, ROWS[:3]), (0.2, ROWS[3:6])):
        kernel = kernel - rate * np.mean([gradient(kernel, rows) for rows in window], axis=0)
    close(kernel_of(trainer), kernel)
    np.testing.assert_allclose(scalars["learning_rate"], [0.4] * 3 + [0.2] * 3)


def clipped_globally(g, bound):
    return g * min(1.0, bound / np.linalg.norm(g))


CLIPS = {
    "clip_global_norm": (0.2, clipped_globally),
    "clip_norm": (0.2, clipped_globally),
    "clip_value": (0.05, lambda g, bound: np.clip(g, -bound, bound)),
}


@pytest.mark.parametrize("accumulate_steps", [1, 2])
@pytest.mark.parametrize("name", CLIPS)
def test_clipping_is_of_the_mean_over_replicas_and_window(strategy, name, accumulate_steps):
    bound, definition = CLIPS[name]
    update = Update(accumulate_steps=accumulate_steps, **{name: bound})
    trainer = linear_trainer(strategy, update)
    kernel = kernel_of(trainer)
    scalars = trainer.train_chunk(0, 4)
    norms = []
    for first in range(0, 4, accumulate_steps):
        parts = [gradient(kernel, rows) for rows in ROWS[first : first + accumulate_steps]]
        norms += [np.linalg.norm(part) for part in parts]
        mean = np.mean(parts, axis=0)
        assert np.abs(definition(mean, bound) - mean).max() > 1e-3
        kernel = kernel - 0.1 * definition(mean, bound)
    close(kernel_of(trainer), kernel)
    close(scalars["gradient_norm"], norms)


def test_global_norm_is_over_all_variables_and_norm_over_each(strategy):
    gradients = [tf.constant([3.0, 0.0]), tf.constant([0.0, 4.0])]
    together = Update(clip_global_norm=1.0).clipped(gradients)
    each = Update(clip_norm=1.0).clipped(gradients)
    close(np.stack(together), [[0.6, 0], [0, 0.8]])
    close(np.stack(each), [[1, 0], [0, 1]])


def test_the_average_follows_the_updates_and_leaves_training_alone(strategy):
    plain = linear_trainer(strategy, Update(accumulate_steps=2))
    averaged = linear_trainer(strategy, Update(accumulate_steps=2, ema_decay=0.8))
    kernel = shadow = kernel_of(averaged)
    averaged.train_chunk(0, 6)
    plain.train_chunk(0, 6)
    for first in (0, 2, 4):
        window = ROWS[first : first + 2]
        kernel = kernel - 0.1 * np.mean([gradient(kernel, rows) for rows in window], axis=0)
        shadow = 0.8 * shadow + 0.2 * kernel
    close(kernel_of(averaged), kernel_of(plain))
    before = kernel_of(averaged)
    with averaged.updater.averaged_weights():
        close(kernel_of(averaged), shadow)
    np.testing.assert_array_equal(kernel_of(averaged), before)


def test_what_is_evaluated_and_kept_is_the_average(tmp_path):
    one = distribution.single_device()
    trainer = linear_trainer(one, Update(ema_decay=0.9), run_dir=tmp_path)
    trainer.fit("2ep")
    with trainer.updater.averaged_weights():
        average = kernel_of(trainer)
    logged = trainer.evaluate()
    by_hand = linear_trainer(one)
    by_hand.model.trainable_variables[0].assign(average)
    assert logged == by_hand.evaluate()
    for checkpoint in (trainer.checkpoints.best(), trainer.checkpoints.latest()):
        other = linear_trainer(one, Update(ema_decay=0.9))
        other.load_weights(checkpoint)
        assert other.evaluate() == logged


def test_batch_statistics_are_averaged_too():
    model = toy_model(FusedBatchNormalization(momentum=0.5))
    trainer = toy_trainer(model=model, update=Update(ema_decay=0.5))
    trainer.train_chunk(0, 5)
    moving = [v.numpy() for v in model.non_trainable_variables]
    with trainer.updater.averaged_weights():
        averaged = [v.numpy() for v in model.non_trainable_variables]
    assert all(np.abs(a - m).max() > 1e-4 for a, m in zip(averaged, moving, strict=True))


def test_weight_decay_leaves_biases_and_normalization_alone(strategy):
    with strategy.scope():
        optimizer = keras.optimizers.SGD(1e-9, weight_decay=1e6)
        model = toy_model(FusedBatchNormalization())
        trainer = toy_trainer(model=model, optimizer=optimizer, strategy=strategy)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    trainer.train_chunk(0, 1)
    for variable in model.trainable_variables:
        expected = 1 - 1e-3 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-6)


def test_each_group_has_its_own_optimizer(strategy):
    with strategy.scope():
        model = toy_model()
        groups = ParameterGroups(keras.optimizers.SGD(0.1), {"bias": keras.optimizers.SGD(0.5)})
        trainer = toy_trainer(model=model, optimizer=groups, strategy=strategy)
    before = [v.numpy() for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        rows = ROWS[0]
        logits = model(FEATURES[rows], training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS[rows], logits)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    trainer.train_chunk(0, 1)
    for variable, value, g in zip(model.trainable_variables, before, gradients, strict=True):
        rate = 0.5 if variable.name == "bias" else 0.1
        close(variable.numpy(), value - rate * g.numpy())


def test_a_pattern_that_matches_nothing_is_named():
    groups = ParameterGroups(keras.optimizers.SGD(0.1), {"*haed*": keras.optimizers.SGD(0.5)})
    with pytest.raises(ValueError, match=r"optimizer\.groups: '\*haed\*' matches no variable"):
        toy_trainer(optimizer=groups)


def float16_trainer(**arguments):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return toy_trainer(**arguments)
    finally:
        keras.config.set_dtype_policy("float32")


def test_float16_trains_as_float32_does():
    half, full = float16_trainer(), toy_trainer()
    for trainer in (half, full):
        trainer.fit("3ep")
    assert half.evaluate()["loss"] == pytest.approx(full.evaluate()["loss"], rel=0.02)


def test_gradients_that_overflow_are_left_out_and_the_scale_is_halved():
    features, labels = toy_arrays(70, 0)
    features[ROWS[2][0]] = 6e4
    data = Data(train=(features, labels), batch_size=8)
    trainer = float16_trainer(data=data, optimizer=keras.optimizers.SGD(1e-3))
    scale = trainer.updater.variables[-2]
    assert scale.name == "loss_scale"
    trainer.train_chunk(0, 2)
    before, value = weights(trainer), float(scale.numpy())
    trainer.train_chunk(2, 1)
    for a, b in zip(before, weights(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(scale.numpy()) == value / 2
    assert int(trainer.optimizer.iterations.numpy()) == 2


@pytest.mark.parametrize("stop", [3, 5])
def test_a_run_with_everything_is_taken_up_to_the_bit(tmp_path, stop):
    update = Update(accumulate_steps=4, clip_global_norm=0.5, ema_decay=0.9)

    def trainer(name):
        model = toy_model(FusedBatchNormalization())
        return toy_trainer(
            model=model, update=update, run_dir=tmp_path / name, checkpoint_every="1st"
        )

    whole = trainer("whole")
    whole.train_chunk(0, 10)
    first = trainer("parts")
    first.train_chunk(0, stop)
    saved = {name: v.numpy() for name, v in first.variables.items()}
    again = trainer("again")
    for name, variable in again.variables.items():
        variable.assign(saved[name])
    again.train_chunk(stop, 10 - stop)
    for name, variable in whole.variables.items():
        np.testing.assert_array_equal(again.variables[name].numpy(), variable.numpy(), name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accumulate_steps": 0}, r"update\.accumulate_steps=0: at least 1"),
        ({"clip_norm": -1.0}, r"update\.clip_norm=-1\.0: above 0"),
        ({"clip_norm": 1.0, "clip_value": 1.0}, "both given; choose one"),
        ({"ema_decay": 1.0}, r"update\.ema_decay=1\.0: 0 <= d < 1"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Update(**arguments)


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"clipnorm": 1.0}, "clip_norm"),
        ({"clipvalue": 1.0}, "clip_value"),
        ({"global_clipnorm": 1.0}, "clip_global_norm"),
        ({"gradient_accumulation_steps": 2}, "accumulate_steps"),
        ({"use_ema": True}, "ema_decay"),
    ],
)
def test_keras_own_arguments_are_refused_with_where_to_set_them(arguments, setting):
    with pytest.raises(ValueError, match=rf"optimizer\.\w+=.*set update\.{setting}"):
        toy_trainer(optimizer=keras.optimizers.SGD(0.1, **arguments), data=toy_data())


def test_a_loss_scale_optimizer_is_refused():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="precision=mixed_float16"):
        toy_trainer(optimizer=optimizer)


@pytest.mark.parametrize("steps_in_a_window", [1, 2])
def test_a_variable_that_the_loss_does_not_depend_on_is_left_alone(strategy, steps_in_a_window):
    class TwoLayers(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = keras.layers.Dense(3), keras.layers.Dense(3)

        def call(self, inputs, training=False):
            self.unused(inputs)
            return self.used(inputs)

    with strategy.scope():
        trainer = toy_trainer(
            model=TwoLayers(),
            optimizer=keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
            strategy=strategy,
            update=Update(accumulate_steps=steps_in_a_window),
        )
    before = trainer.model.unused.kernel.numpy(), trainer.model.used.kernel.numpy()
    trainer.train_chunk(0, 4)
    np.testing.assert_array_equal(trainer.model.unused.kernel.numpy(), before[0])
    assert not np.array_equal(trainer.model.used.kernel.numpy(), before[1])
