"""Every option of conf/loss, against its definition in NumPy, on every kind of labels."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from trainer import targets
from trainer.losses import per_example

CONF = Path(__file__).resolve().parents[2] / "conf" / "loss"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
RNG = np.random.default_rng(0)


def normal(*shape):
    return (RNG.normal(size=shape) * 2).astype("float32")


CLASSES, YES = np.array([0, 1, 2, 3, 0, 1], "int32"), np.array([0, 1, 1, 0, 0, 1], "int32")
SEVERAL_YES = (RNG.random((6, 3)) < 0.5).astype("float32")
VALUES = np.abs(normal(6))
SOFT = RNG.dirichlet(np.ones(4), 6).astype("float32")
# name: (labels, the same as rows, outputs)
PROBLEMS = {
    "classes": (CLASSES, np.eye(4, dtype="float32")[CLASSES], normal(6, 4)),
    "soft": (SOFT, SOFT, normal(6, 4)),
    "yes_or_no": (YES, YES[:, np.newaxis].astype("float32"), normal(6, 1)),
    "several_yes_or_no": (SEVERAL_YES, SEVERAL_YES, normal(6, 3)),
    "values": (VALUES, VALUES[:, np.newaxis], normal(6, 1)),
    "two_outputs": (
        {"class": CLASSES, "value": VALUES},
        {"class": np.eye(4, dtype="float32")[CLASSES], "value": VALUES[:, np.newaxis]},
        {"class": normal(6, 4), "value": normal(6, 1)},
    ),
}
WITH_ROWS = {"classes", "soft", "several_yes_or_no"}
OF_EACH_OUTPUT = {*WITH_ROWS, "yes_or_no", "values"}


def log_softmax(outputs):
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def sigmoid(outputs):
    return 1 / (1 + np.exp(-outputs))


def cross_entropy(rows, outputs, smoothing=0.0):
    rows = rows * (1 - smoothing) + smoothing / outputs.shape[1]
    return -(rows * log_softmax(outputs)).sum(axis=1)


def sigmoid_cross_entropy(rows, outputs):
    p = sigmoid(outputs)
    return -(rows * np.log(p) + (1 - rows) * np.log(1 - p))


def focal(rows, outputs):
    log_p = log_softmax(outputs)
    return -(rows * (1 - np.exp(log_p)) ** 2 * log_p).sum(axis=1)


def binary_focal(rows, outputs):
    p = sigmoid(outputs)
    p_of_label = rows * p + (1 - rows) * (1 - p)
    return ((1 - p_of_label) ** 2 * sigmoid_cross_entropy(rows, outputs)).mean(axis=1)


def huber(rows, outputs):
    error = np.abs(rows - outputs)
    return np.where(error <= 1, error**2 / 2, error - 0.5).mean(axis=1)


def msle(rows, outputs):
    return ((np.log1p(np.maximum(rows, 0)) - np.log1p(np.maximum(outputs, 0))) ** 2).mean(axis=1)


def cosine_similarity(rows, outputs):
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(outputs, axis=1)
    return -(rows * outputs).sum(axis=1) / np.where(norms == 0, 1, norms)


def kl_divergence(rows, outputs):
    rows = np.clip(rows, 1e-7, 1)
    return (rows * (np.log(rows) - log_softmax(outputs))).sum(axis=1)


def hinge(rows, outputs, power=1):
    sides = 2 * rows - 1 if set(np.unique(rows)) <= {0, 1} else rows
    return (np.maximum(1 - sides * outputs, 0) ** power).mean(axis=1)


def categorical_hinge(rows, outputs):
    highest_other = ((1 - rows) * outputs).max(axis=1)
    return np.maximum(highest_other - (rows * outputs).sum(axis=1) + 1, 0)


def two_outputs(rows, outputs):
    squared_error = ((rows["value"] - outputs["value"]) ** 2).mean(axis=1)
    return cross_entropy(rows["class"], outputs["class"]) + squared_error


# option: (definition, the problems that it takes; it refuses the others)
DEFINITIONS = {
    "cross_entropy": (cross_entropy, WITH_ROWS),
    "smoothed_cross_entropy": (lambda q, z: cross_entropy(q, z, 0.1), WITH_ROWS),
    "binary_cross_entropy": (
        lambda q, z: sigmoid_cross_entropy(q, z).mean(axis=1),
        OF_EACH_OUTPUT,
    ),
    "focal": (focal, WITH_ROWS),
    "binary_focal": (binary_focal, OF_EACH_OUTPUT),
    "mse": (lambda q, z: ((q - z) ** 2).mean(axis=1), OF_EACH_OUTPUT),
    "mse_sigmoid": (lambda q, z: ((q - sigmoid(z)) ** 2).mean(axis=1), OF_EACH_OUTPUT),
    "mae": (lambda q, z: np.abs(q - z).mean(axis=1), OF_EACH_OUTPUT),
    "huber": (huber, OF_EACH_OUTPUT),
    "msle": (msle, OF_EACH_OUTPUT),
    "cosine_similarity": (cosine_similarity, WITH_ROWS),
    "kl_divergence": (kl_divergence, WITH_ROWS),
    "power": (lambda q, z: ((q - z) ** 4).mean(axis=1), OF_EACH_OUTPUT),
    "hinge": (hinge, OF_EACH_OUTPUT),
    "squared_hinge": (lambda q, z: hinge(q, z, 2), OF_EACH_OUTPUT),
    "categorical_hinge": (categorical_hinge, WITH_ROWS),
    "python_function": (cross_entropy, {"classes"}),
    "two_outputs": (two_outputs, {"two_outputs"}),
}


def loss_of(option):
    return per_example(targets.instantiate(yaml.safe_load((CONF / f"{option}.yaml").read_text())))


def tensors(arrays):
    return tf.nest.map_structure(tf.constant, arrays)


def test_every_option_has_a_definition_here():
    assert sorted(DEFINITIONS) == OPTIONS


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_loss_equals_its_definition_or_refuses_in_one_line(option, problem):
    loss, (definition, taken) = loss_of(option), DEFINITIONS[option]
    labels, rows, outputs = PROBLEMS[problem]
    if option == "python_function" and problem not in taken:
        return  # an example for class numbers, with nothing around it that could refuse
    if problem not in taken:
        with pytest.raises(ValueError, match=r"loss|output") as refusal:
            loss(tensors(labels), tensors(outputs))
        assert "\n" not in str(refusal.value)
        return
    losses = loss(tensors(labels), tensors(outputs))
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, definition(rows, outputs), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(("option", "problem"), [
    (option, problem) for option in OPTIONS for problem in sorted(DEFINITIONS[option][1])
])  # fmt: skip
def test_values_and_gradients_are_finite_at_extreme_outputs(option, problem):
    loss = loss_of(option)
    labels, _, outputs = PROBLEMS[problem]
    for factor in (1e4, -1e4, 0.0):
        extreme = tf.nest.map_structure(lambda z, f=factor: tf.constant(np.sign(z) * f), outputs)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(extreme))
            losses = loss(tensors(labels), extreme)
        assert np.isfinite(losses).all()
        for gradient in tape.gradient(losses, tf.nest.flatten(extreme)):
            assert np.isfinite(gradient).all()
