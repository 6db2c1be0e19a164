"""Lookahead against algorithm 1 of the paper, alone and with groups of optimizers."""

import keras
import numpy as np
import pytest
from toy import toy_model, toy_trainer
from updates import WAYS, assert_close, random_values, updated

from trainer import ParameterGroups, Update
from trainer.optimizers import SGD, Adam, LazyAdam, Lookahead, members, set_schedule

NUM_STEPS, PERIOD, STEP_SIZE = 8, 3, 0.4


def by_the_paper(initial, gradients, rates, weight_decay=0.0, decayed=()):
    """Lookahead around SGD with momentum and decoupled weight decay, in float64."""
    fast, slow, velocity = list(initial), list(initial), [np.zeros_like(x) for x in initial]
    history = []
    for t, (step, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        for k, g in enumerate(step):
            if k in decayed:
                fast[k] = fast[k] * (1 - rate * weight_decay)
            velocity[k] = 0.9 * velocity[k] - rate * g
            fast[k] = fast[k] + velocity[k]
            if t % PERIOD == 0:
                slow[k] = slow[k] + STEP_SIZE * (fast[k] - slow[k])
                fast[k] = slow[k]
        history.append(list(fast))
    return history, slow


def around_sgd(rate=0.1, weight_decay=None):
    return Lookahead(SGD(rate, momentum=0.9, weight_decay=weight_decay), None, PERIOD, STEP_SIZE)


def around_groups():
    groups = ParameterGroups(SGD(0.1, momentum=0.9), {"v1": SGD(0.1, momentum=0.9)})
    return Lookahead(groups, None, PERIOD, STEP_SIZE)


def within_groups():
    return ParameterGroups(around_sgd(), {"v1": around_sgd()})


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_algorithm_of_the_paper(way):
    initial, gradients = random_values(NUM_STEPS)
    rates = [0.1 * 0.5**t for t in range(NUM_STEPS)]
    expected, slow = by_the_paper(initial, gradients, rates, weight_decay=0.3, decayed=[0])

    def optimizer():
        return around_sgd(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), 0.3)

    values, lookahead = updated(optimizer, initial, gradients, way, exclude=[1])
    assert_close(values, expected)
    for variable, value in zip(lookahead.variables[1:3], slow, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)
    assert int(lookahead.iterations.numpy()) == NUM_STEPS


@pytest.mark.parametrize("way", ["graph", "two replicas"])
@pytest.mark.parametrize("make_optimizer", [around_groups, within_groups])
def test_it_goes_around_groups_and_into_them(make_optimizer, way):
    initial, gradients = random_values(NUM_STEPS)
    expected, _ = by_the_paper(initial, gradients, [0.1] * NUM_STEPS)
    values, optimizer = updated(make_optimizer, initial, gradients, way)
    assert_close(values, expected)
    assert [type(member) for member in members(optimizer)] == [SGD, SGD]


def test_the_slow_weights_begin_with_the_first_update():
    lookahead = around_sgd()
    variable = keras.Variable(np.zeros(2, "float32"))
    lookahead.build([variable])
    variable.assign([5.0, 6.0])
    for _ in range(PERIOD):
        lookahead.apply([np.zeros(2, "float32")], [variable])
    assert variable.numpy().tolist() == [5.0, 6.0]


def test_its_learning_rate_is_that_of_the_inner_optimizer():
    lookahead = Lookahead(Adam(0.1), learning_rate=0.2)
    assert float(lookahead.inner.learning_rate.numpy()) == pytest.approx(0.2)
    lookahead.learning_rate = 0.3
    assert float(lookahead.inner.learning_rate.numpy()) == pytest.approx(0.3)
    assert [v.name for v in lookahead.variables] == ["iteration", "iteration", "learning_rate"]
    set_schedule(lookahead, lambda peak: keras.optimizers.schedules.ExponentialDecay(peak, 1, 0.5))
    variable = keras.Variable(np.zeros(2, "float32"))
    lookahead.build([variable])
    for rate in (0.3, 0.15):
        assert float(lookahead.learning_rate) == pytest.approx(rate)
        lookahead.apply([np.zeros(2, "float32")], [variable])


def test_each_group_has_the_schedule_of_its_own_peak():
    groups = ParameterGroups(
        Lookahead(Adam(0.1)), {"*bias": Lookahead(Adam(0.1), 0.4)}, learning_rate=0.2
    )
    set_schedule(groups, lambda peak: peak / 2)
    rates = [float(member.learning_rate.numpy()) for member in groups.members]
    assert rates == pytest.approx([0.1, 0.2])


def test_the_trainer_s_weight_decay_leaves_biases_alone():
    lookahead = Lookahead(SGD(1e-9, weight_decay=1e6), sync_period=2)
    trainer = toy_trainer(optimizer=lookahead)
    for variable in trainer.model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    trainer.train_chunk(0, 1)
    for variable in trainer.model.trainable_variables:
        expected = 1 - 1e-3 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-6)


def test_updates_are_counted_and_not_micro_steps():
    def kernel(update, num_steps):
        trainer = toy_trainer(optimizer=around_sgd(), update=update)
        trainer.train_chunk(0, num_steps)
        return int(trainer.optimizer.iterations.numpy()), trainer.optimizer.variables[1].numpy()

    started = toy_model()
    started.build((None, 4))
    initial = started.trainable_variables[0].numpy()
    num_updates, slow = kernel(Update(accumulate_steps=2), 4)
    assert num_updates == 2
    np.testing.assert_array_equal(slow, initial)
    num_updates, slow = kernel(Update(accumulate_steps=2), 6)
    assert num_updates == 3
    assert not np.array_equal(slow, initial)


def test_keras_own_arguments_of_the_inner_optimizer_are_refused():
    with pytest.raises(ValueError, match=r"optimizer\.clipnorm=1.*set update\.clip_norm"):
        toy_trainer(optimizer=Lookahead(keras.optimizers.SGD(0.1, clipnorm=1.0)))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="precision=mixed_float16"):
        toy_trainer(optimizer=Lookahead(scaled))


def test_keras_fit_and_a_saved_model_go_on_alike(tmp_path):
    features, labels = np.eye(8, 4, dtype="float32"), np.arange(8) % 3

    def fit(model, num_epochs):
        return model.fit(features, labels, 2, num_epochs, verbose=0, shuffle=False)

    model = toy_model()
    model.compile(
        Lookahead(LazyAdam(0.01, weight_decay=0.1), sync_period=PERIOD),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    fit(model, 1)
    model.save(tmp_path / "model.keras")
    same = keras.models.load_model(tmp_path / "model.keras")
    assert same.optimizer.get_config() == model.optimizer.get_config()
    assert type(same.optimizer.inner) is LazyAdam
    for both in (model, same):
        fit(both, 2)
    for value, other in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sync_period": 0}, r"optimizer\.sync_period=0: at least 1"),
        ({"slow_step_size": 0.0}, r"optimizer\.slow_step_size=0\.0: above 0 and up to 1"),
        ({"slow_step_size": 1.5}, r"optimizer\.slow_step_size=1\.5: above 0 and up to 1"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Lookahead(Adam(0.1), **arguments)
