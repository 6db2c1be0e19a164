"""Every option of conf/metrics, against scikit-learn or NumPy, on every kind of labels."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from sklearn import metrics as reference

from trainer import targets
from trainer.metrics import MetricSet

CONF = Path(__file__).resolve().parents[2] / "conf" / "metrics"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
RNG = np.random.default_rng(1)
BATCH, NUM = 16, 45  # three batches, of which the last ends in three examples of padding
PADDED = BATCH * -(-NUM // BATCH)
WEIGHT = np.where(np.arange(PADDED) < NUM, RNG.uniform(0.5, 2.0, PADDED), 0).astype("float32")


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


CLASSES = RNG.integers(0, 4, PADDED).astype("int32")
YES = RNG.integers(0, 2, PADDED).astype("int32")
SEVERAL_YES = (RNG.random((PADDED, 3)) < 0.4).astype("float32")
VALUES = normal(PADDED)
CLASS_LOGITS = normal(PADDED, 4) + 1.5 * np.eye(4, dtype="float32")[CLASSES]
# name: (labels, outputs, the loss' link, number of classes)
PROBLEMS = {
    "classes": (CLASSES, CLASS_LOGITS, "softmax", 4),
    "yes_or_no": (YES, normal(PADDED, 1) + 2 * YES[:, np.newaxis] - 1, "sigmoid", 2),
    "several_yes_or_no": (SEVERAL_YES, normal(PADDED, 3) + SEVERAL_YES, "sigmoid", 3),
    "values": (VALUES, VALUES[:, np.newaxis] + 0.5 * normal(PADDED, 1), "linear", 2),
    "two_outputs": (
        {"class": CLASSES, "value": VALUES},
        {"class": CLASS_LOGITS, "value": VALUES[:, np.newaxis] + 0.5 * normal(PADDED, 1)},
        {"class": "softmax", "value": "linear"},
        4,
    ),
}


def metrics_of(option, num_classes):
    nodes = yaml.safe_load((CONF / f"{option}.yaml").read_text())
    for node in nodes.values():
        if "num_classes" in node:
            node["num_classes"] = num_classes
    return {name: targets.instantiate(node) for name, node in nodes.items()}


def measured(option, problem, compiled=False):
    labels, outputs, link, num_classes = PROBLEMS[problem]
    metric_set = MetricSet(metrics_of(option, num_classes), "test", link)
    batches = [
        tf.nest.map_structure(
            lambda array, at=start: tf.constant(array[at : at + BATCH]), (labels, outputs, WEIGHT)
        )
        for start in range(0, PADDED, BATCH)
    ]
    metric_set.try_out(*batches[0], batches[0][2])
    update = tf.function(metric_set.update, jit_compile=True) if compiled else metric_set.update
    for batch in batches:
        update(*batch, batch[2])
    return metric_set.result()


def predicted(problem, output=None):
    """Return labels [N], and the probability of each class [N, K], of what is no padding."""
    labels, outputs, link, _ = PROBLEMS[problem]
    if output:
        labels, outputs, link = labels[output], outputs[output], link[output]
    labels, outputs = labels[:NUM], outputs[:NUM].astype("float64")
    if link == "softmax":
        odds = np.exp(outputs)
        return labels, odds / odds.sum(axis=1, keepdims=True)
    if link == "sigmoid":
        outputs = 1 / (1 + np.exp(-outputs))
    if problem == "yes_or_no":
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    return labels, outputs


def of_classes(problem):
    labels, probabilities = predicted(problem)
    likeliest = probabilities.argmax(axis=1)
    shares = {"labels": range(probabilities.shape[1]), "zero_division": 0}
    return labels, likeliest, probabilities, shares | {"sample_weight": WEIGHT[:NUM]}


def accuracy(problem):
    labels, likeliest, _, _ = of_classes(problem)
    return {"accuracy": reference.accuracy_score(labels, likeliest, sample_weight=WEIGHT[:NUM])}


def top_k(problem):
    labels, _, probabilities, _ = of_classes(problem)
    best = np.argsort(-probabilities, axis=1)[:, :3]
    is_among = (best == labels[:, np.newaxis]).any(axis=1)
    return accuracy(problem) | {"top3_accuracy": np.average(is_among, weights=WEIGHT[:NUM])}


def auc_of(rows, probabilities):
    areas = [
        reference.roc_auc_score(rows[:, k], probabilities[:, k], sample_weight=WEIGHT[:NUM])
        for k in range(rows.shape[1])
    ]
    return {"auc": pytest.approx(np.mean(areas), abs=0.01)}  # Keras' has 200 thresholds


def auc(problem):
    labels, _, probabilities, _ = of_classes(problem)
    return accuracy(problem) | auc_of(np.eye(probabilities.shape[1])[labels], probabilities)


def precision_recall_f1(problem):
    labels, likeliest, _, arguments = of_classes(problem)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        labels, likeliest, average="macro", **arguments
    )
    micro = reference.f1_score(labels, likeliest, average="micro", **arguments)
    names = {"precision": precision, "recall": recall, "macro_f1": f1, "micro_f1": micro}
    return accuracy(problem) | names


def yes_rows(problem):
    labels, probabilities = predicted(problem)
    if problem == "yes_or_no":
        return labels[:, np.newaxis], probabilities[:, 1:]
    return (labels if labels.ndim == 2 else np.eye(probabilities.shape[1])[labels]), probabilities


def binary(problem):
    rows, probabilities = yes_rows(problem)
    is_right = ((probabilities > 0.5) == rows).mean(axis=1)
    each = [(rows[:, k], probabilities[:, k] > 0.5) for k in range(rows.shape[1])]
    weight = np.repeat(WEIGHT[:NUM, np.newaxis], rows.shape[1], axis=1)
    flat = (rows.ravel(), probabilities.ravel() > 0.5)
    return auc_of(rows, probabilities) | {
        "accuracy": np.average(is_right, weights=WEIGHT[:NUM]),
        "precision": reference.precision_score(*flat, sample_weight=weight.ravel()),
        "recall": reference.recall_score(*flat, sample_weight=weight.ravel()),
        "f1": np.mean([reference.f1_score(*one, sample_weight=WEIGHT[:NUM]) for one in each]),
    }


def confusion_counts(problem):
    rows, probabilities = yes_rows(problem)
    is_yes, weight = probabilities > 0.5, WEIGHT[:NUM, np.newaxis]
    return accuracy(problem) | {
        "true_positives": (weight * (is_yes & (rows == 1))).sum(),
        "false_positives": (weight * (is_yes & (rows == 0))).sum(),
        "true_negatives": (weight * (~is_yes & (rows == 0))).sum(),
        "false_negatives": (weight * (~is_yes & (rows == 1))).sum(),
    }


def calibration(problem):
    labels, likeliest, probabilities, _ = of_classes(problem)
    confidence, error = probabilities.max(axis=1), 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            weight = WEIGHT[:NUM][inside]
            gap = np.average((labels == likeliest)[inside] - confidence[inside], weights=weight)
            error += weight.sum() / WEIGHT.sum() * abs(gap)
    return accuracy(problem) | {"calibration_error": error}


def regression(problem):
    rows, outputs = yes_rows(problem) if problem != "values" else predicted(problem)
    rows = rows.reshape(outputs.shape)
    squared = reference.mean_squared_error(rows, outputs, sample_weight=WEIGHT[:NUM])
    return {
        "mae": reference.mean_absolute_error(rows, outputs, sample_weight=WEIGHT[:NUM]),
        "rmse": np.sqrt(squared),
        "r2": reference.r2_score(rows, outputs, sample_weight=WEIGHT[:NUM]),
    }


def two_outputs(problem):
    labels, probabilities = predicted(problem, "class")
    is_right = labels == probabilities.argmax(axis=1)
    values, outputs = predicted(problem, "value")
    error = np.abs(values - outputs[:, 0])
    weight = WEIGHT[:NUM]
    return {
        "accuracy": np.average(is_right, weights=weight), "mae": np.average(error, weights=weight)
    }  # fmt: skip


OF_CLASSES = {"classes", "yes_or_no"}
# option: (definition, the problems that it takes; it refuses the others)
DEFINITIONS = {
    "auc": (auc, OF_CLASSES),
    "binary": (binary, {"yes_or_no", "several_yes_or_no"}),
    "calibration": (calibration, OF_CLASSES),
    "classification": (accuracy, OF_CLASSES),
    "confusion_counts": (confusion_counts, OF_CLASSES),
    "custom_accuracy": (accuracy, OF_CLASSES),
    "precision_recall_f1": (precision_recall_f1, OF_CLASSES),
    "regression": (regression, {"classes", "yes_or_no", "several_yes_or_no", "values"}),
    "top_k": (top_k, OF_CLASSES),
    "two_outputs": (two_outputs, {"two_outputs"}),
}


def test_every_option_has_a_definition_here():
    assert sorted(DEFINITIONS) == OPTIONS


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("option", OPTIONS)
def test_metrics_equal_their_definitions_or_refuse_in_one_line(option, problem):
    definition, taken = DEFINITIONS[option]
    if problem not in taken:
        with pytest.raises(ValueError, match=r"^metrics\.\w+: \w+ ") as refusal:
            measured(option, problem)
        assert "\n" not in str(refusal.value)
        return
    values = measured(option, problem)
    assert values.pop("loss") == pytest.approx(np.average(WEIGHT, weights=WEIGHT), rel=1e-5)
    assert values == {
        name: value if type(value).__name__ == "ApproxScalar" else pytest.approx(value, rel=1e-4)
        for name, value in definition(problem).items()
    }


@pytest.mark.parametrize("option", ["calibration", "custom_accuracy", "precision_recall_f1"])
def test_compiled_by_xla_they_are_the_same(option):
    problem = sorted(DEFINITIONS[option][1])[0]
    assert measured(option, problem, compiled=True) == pytest.approx(
        measured(option, problem), rel=1e-4
    )
