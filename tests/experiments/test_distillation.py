import json

import keras
import numpy as np
import pytest
from test_run import train
from toy import toy_trainer, weights

from experiments.distillation import DistillationTrainer
from trainer import distribution
from trainer.data.data import Data
from trainer.data.digits import digits
from trainer.data.order import ShuffledOrder
from trainer.trained_model import load_trained

WORDS = [
    *("duration=8st", "data.limit=64", "jit=false"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]
BATCH_SIZE, T, ALPHA, RATE = 8, 3.0, 0.7, 0.1


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("teacher")
    assert train(run_dir, *WORDS) == 0
    return run_dir


def arrays(num_examples=32):
    split = digits().load()["train"]
    return {key: array[:num_examples] for key, array in split.items()}


def digits_data(mean=(0.3,), std=(0.4,), **arguments):
    arguments = {"class_names": digits().class_names, "batch_size": BATCH_SIZE} | arguments
    return Data(train=arrays(), val=arrays(), mean=mean, std=std, **arguments)


def student(teacher, strategy=None, **arguments):
    strategy = strategy or distribution.single_device()
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        optimizer = keras.optimizers.SGD(RATE)
        return toy_trainer(
            DistillationTrainer, model=model, optimizer=optimizer, teacher=teacher,
            strategy=strategy,
            **{"data": digits_data(), "temperature": T, "alpha": ALPHA} | arguments,
        )  # fmt: skip


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_steps_equal_the_ones_computed_by_hand(teacher):
    trainer = student(teacher)
    kernel, bias = weights(trainer)
    split = arrays()
    pixels, labels = split["image"].astype("float32") / 255, split["label"]
    there = json.loads((teacher / "manifest.json").read_text())["standardisation"]
    taught = load_trained(teacher).model((pixels - there["mean"]) / there["std"]).numpy()
    losses = []
    for rows in ShuffledOrder(32, BATCH_SIZE, seed=0).indices(0, 3):
        x = ((pixels[rows] - 0.3) / 0.4).reshape(BATCH_SIZE, -1)
        y, q = np.eye(10)[labels[rows]], softmax(taught[rows] / T)
        logits = x @ kernel + bias
        soft = -(q * np.log(softmax(logits / T))).sum(axis=1).mean()
        hard = -(y * np.log(softmax(logits))).sum(axis=1).mean()
        losses.append((1 - ALPHA) * hard + ALPHA * T**2 * soft)
        error = (1 - ALPHA) * (softmax(logits) - y) + ALPHA * T * (softmax(logits / T) - q)
        error = error / BATCH_SIZE
        kernel, bias = kernel - RATE * x.T @ error, bias - RATE * error.sum(axis=0)
    scalars = trainer.train_chunk(0, 3)
    np.testing.assert_allclose(scalars["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(weights(trainer)[0], kernel, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(weights(trainer)[1], bias, rtol=1e-3, atol=1e-5)


def test_without_weight_on_the_teacher_it_is_plain_training(teacher):
    with_teacher, plain = student(teacher, alpha=0), student(teacher)
    plain.__class__ = DistillationTrainer.__base__
    with_teacher.train_chunk(0, 4), plain.train_chunk(0, 4)
    for a, b in zip(weights(with_teacher), weights(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_two_replicas_are_taught_as_one_device_and_the_teacher_stays(teacher):
    one = student(teacher)
    two = student(teacher, strategy=distribution.mirrored(2))
    before = [v.numpy() for v in two.teacher.model.variables]
    curves = [trainer.train_chunk(0, 5) for trainer in (one, two)]
    for name in curves[0]:
        np.testing.assert_allclose(curves[0][name], curves[1][name], rtol=1e-4, atol=1e-5)
    for a, b in zip(before, two.teacher.model.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(teacher, tmp_path):
    whole = student(teacher, run_dir=tmp_path / "whole")
    whole.fit("9st")
    student(teacher, run_dir=tmp_path / "parts").fit("5st")
    parts = student(teacher, run_dir=tmp_path / "parts")
    parts.fit("9st")
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any("hidden" in name for name in parts.variables)  # of the teacher


def test_a_run_is_not_gone_on_with_under_another_teacher(teacher, tmp_path, capsys):
    words = [*WORDS, "trainer=distillation", f"trainer.teacher={teacher}", "seed=1"]
    assert train(tmp_path, *words) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["ingredients"] == {"teacher": load_trained(teacher).fingerprint}
    manifest["ingredients"]["teacher"] = "another"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert train(tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert "teacher: another one than then" in error and error.count("\n") == 1


def test_the_command_needs_a_teacher(tmp_path, capsys):
    assert train(tmp_path, "trainer=distillation") == 2
    error = capsys.readouterr().err
    assert "trainer.teacher: not given; add trainer.teacher=VALUE" in error
    assert train(tmp_path, "trainer=distillation", "trainer.teacher=nowhere") == 2
    error = capsys.readouterr().err
    assert "nowhere: no run folder" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "temperature=0: above 0"),
        ({"alpha": 1.5}, "alpha=1.5: the weight of the teacher's part, 0 <= alpha <= 1"),
        (
            {"data": digits_data(class_names=list("abcdefghijkl"))},
            "its number of classes: 10, but this data's: 12; choose a teacher",
        ),
        ({"data": digits_data(class_names=list("abcdefghij"))}, "its classes: .*, but this data's"),
        (
            {
                "data": Data(
                    train=(np.zeros([8, 4, 4, 1], "uint8"), np.zeros(8, "int32")), batch_size=8
                )
            },
            r"its inputs: \{'image': \[8, 8, 1\]\}, but this data's: \{'.*': \[4, 4, 1\]\}",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(teacher, arguments, message):
    with pytest.raises(ValueError, match=message):
        student(teacher, **arguments)
