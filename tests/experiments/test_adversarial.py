import keras
import numpy as np
import pytest
from toy import toy_data, toy_trainer, weights

from experiments.adversarial import AdversarialTrainer
from trainer import distribution
from trainer.data.data import Data
from trainer.data.order import ShuffledOrder

NUM, BATCH_SIZE, MEAN, STD, RATE = 24, 8, 0.4, 0.25, 0.5


def image_arrays(num_classes=2, seed=0):
    """Grey images of 2 x 3 pixels, far enough from 0 and 1 for an epsilon of 0.1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, NUM).astype("int32")
    images = rng.uniform(0.25, 0.75, [NUM, 2, 3, 1])
    images[:, 0, 0, 0] += np.where(labels == 0, -0.15, 0.15)
    return {"image": images.astype("float32"), "label": labels}


def image_data(**arguments):
    data = {"train": image_arrays(), "val": image_arrays(seed=1)} | arguments
    return Data(**data, batch_size=BATCH_SIZE, mean=[MEAN], std=[STD])


def trainer_of(num_classes=2, strategy=None, layers=(), **arguments):
    strategy = strategy or distribution.single_device()
    keras.utils.set_random_seed(0)
    with strategy.scope():
        dense = keras.layers.Dense(num_classes)
        model = keras.Sequential([keras.layers.Flatten(), *layers, dense])
        optimizer = keras.optimizers.SGD(RATE)
        parts = {"data": image_data()} | arguments
        return toy_trainer(
            AdversarialTrainer, model=model, optimizer=optimizer, strategy=strategy, **parts
        )


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def seen(images):
    return ((images - MEAN) / STD).reshape(len(images), -1)


def attacked(kernel, bias, images, labels, epsilon, step_size, num_steps):
    """Projected gradient descent from the images, on a linear classifier."""
    y, moved = np.eye(kernel.shape[1])[labels], images
    for _ in range(num_steps):
        slopes = (softmax(seen(moved) @ kernel + bias) - y) @ kernel.T / STD
        moved = moved + step_size * np.sign(slopes).reshape(images.shape)
        moved = np.clip(moved, images - epsilon, images + epsilon).clip(0, 1)
    return moved


@pytest.mark.parametrize(
    ("epsilon", "step_size", "num_steps"), [(0.2, 0.2, 1), (0.1, 0.06, 3), (0.6, 0.2, 3)]
)
def test_steps_equal_the_ones_computed_by_hand(epsilon, step_size, num_steps):
    attack = {"epsilon": epsilon, "step_size": step_size, "num_steps": num_steps}
    trainer = trainer_of(3, **attack, random_start=False, data=image_data(train=image_arrays(3)))
    kernel, bias = weights(trainer)
    split = image_arrays(3)
    for rows in ShuffledOrder(NUM, BATCH_SIZE, seed=0).indices(0, 3):
        images, labels = split["image"][rows], split["label"][rows]
        x = seen(attacked(kernel, bias, images, labels, **attack))
        error = (softmax(x @ kernel + bias) - np.eye(3)[labels]) / BATCH_SIZE
        kernel, bias = kernel - RATE * x.T @ error, bias - RATE * error.sum(axis=0)
    trainer.fit("3st")
    np.testing.assert_allclose(weights(trainer)[0], kernel, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(weights(trainer)[1], bias, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("random_start", [False, True])
def test_robust_accuracy_of_a_linear_classifier_is_the_known_one(random_start):
    epsilon = 0.05
    trainer = trainer_of(epsilon=epsilon, num_test_steps=5, random_start=random_start)
    kernel, bias = weights(trainer)
    split = image_arrays(seed=1)
    logits = seen(split["image"]) @ kernel + bias
    margins = np.where(split["label"] == 0, 1, -1) * (logits[:, 0] - logits[:, 1])
    # The worst change of a pixel by epsilon moves the margin by epsilon times its weight.
    robust = margins > epsilon / STD * np.abs(kernel[:, 0] - kernel[:, 1]).sum()
    values = trainer.evaluate()
    assert values["accuracy"] == pytest.approx((margins > 0).mean())
    assert values["robust_accuracy"] == pytest.approx(robust.mean())
    assert 0 < values["robust_accuracy"] < values["accuracy"]


def test_attacks_begin_at_another_point_each_step():
    trainer = trainer_of(epsilon=0.1, step_size=1e-6, num_steps=1)
    clean = trainer.chunk.look_up(0)[1]  # before: to look a batch up may trace a step
    batches = []
    plain_step = AdversarialTrainer.__base__.train_step

    def noting(self, batch):
        batches.append(batch["image"])
        return plain_step(self, batch)

    AdversarialTrainer.__base__.train_step = noting
    try:
        for step in (0, 1, 0):
            trainer.chunk.run_eagerly(clean, step)
    finally:
        AdversarialTrainer.__base__.train_step = plain_step
    first, second, again = ((b - clean["image"]).numpy() * STD for b in batches)
    np.testing.assert_allclose(first, again, atol=5e-6)  # the step of the attack differs
    assert np.abs(first - second).max() > 0.05
    assert 0.05 < np.abs(first).max() <= 0.1 + 1e-5


def test_batch_statistics_are_those_of_the_images_that_are_learnt_from():
    layers = [keras.layers.BatchNormalization(momentum=0.0)]
    trainer = trainer_of(layers=layers, epsilon=0.2, step_size=0.2, random_start=False)
    mean_before = trainer.model.layers[1].moving_mean.numpy()
    trainer.train_chunk(0, 1)
    moved = trainer.model.layers[1].moving_mean.numpy()
    split = image_arrays()
    (rows,) = ShuffledOrder(NUM, BATCH_SIZE, seed=0).indices(0, 1)
    clean_mean = seen(split["image"][rows]).mean(axis=0)
    assert not np.allclose(mean_before, moved)
    assert np.abs(moved - clean_mean).max() <= 0.2 / STD + 1e-5
    assert np.abs(moved - clean_mean).max() > 0.01


def test_two_replicas_train_as_one_device():
    attack = {"epsilon": 0.1, "step_size": 0.05, "num_steps": 2, "random_start": False}
    one, two = (
        trainer_of(**attack, strategy=strategy)
        for strategy in (distribution.single_device(), distribution.mirrored(2))
    )
    curves = [trainer.train_chunk(0, 5) for trainer in (one, two)]
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], rtol=1e-4)
    assert two.evaluate() == pytest.approx(one.evaluate(), rel=1e-4)


def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(tmp_path):
    def trainer(name):
        return trainer_of(run_dir=tmp_path / name, monitor="val/robust_accuracy")

    whole = trainer("whole")
    whole.fit("5st")
    trainer("parts").fit("2st")
    parts = trainer("parts")
    parts.fit("5st")
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    assert parts.evaluate() == whole.evaluate()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 8}, r"epsilon=8: of images in \[0, 1\], 0 < epsilon <= 1"),
        ({"step_size": 0.0}, "step_size=0.0: of images"),
        ({"num_steps": 0}, "num_steps=0: at least 1, which is FGSM"),
        ({"num_test_steps": 0}, "num_test_steps=0: at least 1"),
        ({"data": toy_data()}, "attacks need an image and class numbers; a batch has"),
    ],
)
def test_what_cannot_be_attacked_is_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        trainer_of(**arguments)
