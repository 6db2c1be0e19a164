"""The statistics of predictions, against scikit-learn's own on the same arrays."""

import io
import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from rich.console import Console

from trainer.compare.example_scores import correct
from trainer.report import markdown, terminal
from trainer.report.evaluation import evaluation
from trainer.split_predictions import SplitPredictions

LOSS = 0.5


def split_of(labels, predictions, weight=None, losses=None, activation=None):
    num = len(next(iter(labels.values())) if isinstance(labels, dict) else labels)
    named = [x if isinstance(x, dict) else {None: x} for x in (labels, predictions)]
    weight = np.ones(num, np.float32) if weight is None else weight
    losses = np.full(num, LOSS, np.float32) if losses is None else losses
    activations = {} if activation is None else dict.fromkeys(named[0], activation)
    return SplitPredictions(*named, losses, weight, step=3, activations=activations)


def evaluated(labels, predictions, class_names=(), arrays=None, **arguments):
    split = split_of(labels, predictions, **arguments)
    facts = {
        "num_examples": len(split.losses), "weights": "best", "step": 3,
        "metrics": {"loss": LOSS}, "logged": {}, "notes": [],
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return evaluation(facts, split, class_names, arrays or {})


def shown(facts):
    out = io.StringIO()
    terminal.show(Console(file=out, width=120), facts)
    return out.getvalue()


def softmax(num, num_classes, seed=0, labels=None):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num, num_classes))
    if labels is not None:
        logits[np.arange(num), labels] += 1.0
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def weights(num):
    return np.random.default_rng(9).choice([0.0, 0.5, 1.0, 3.0], num).astype(np.float32)


@pytest.mark.parametrize("weight", [None, weights(200)], ids=["plain", "weighted"])
@pytest.mark.parametrize("num_classes", [2, 4, 30])
def test_class_statistics_are_scikit_learns(num_classes, weight):
    labels = np.random.default_rng(1).integers(0, num_classes, 200).astype(np.int32)
    probabilities = softmax(200, num_classes, labels=labels)
    found = evaluated(labels, probabilities, weight=weight).facts["statistics"]["label"]
    predicted, given = probabilities.argmax(1), {"sample_weight": weight}
    every = {"labels": np.arange(num_classes), "zero_division": 0, **given}
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, **every)
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert [row[name] for row in found["per_class"]] == pytest.approx(expected)
    assert [row["support"] for row in found["per_class"]] == pytest.approx(support)
    for average in ("macro", "weighted"):
        scores = sk.precision_recall_fscore_support(labels, predicted, average=average, **every)
        names = ("precision", "recall", "f1")
        assert [found[average][name] for name in names] == pytest.approx(scores[:3])
        if num_classes > 2:
            auc = sk.roc_auc_score(
                labels, probabilities / probabilities.sum(1, keepdims=True), multi_class="ovr",
                average=average, **given,
            )  # fmt: skip
        else:
            auc = sk.roc_auc_score(labels, probabilities[:, 1], **given)
        assert found[average]["roc_auc"] == pytest.approx(auc, abs=1e-6)
        one_hot = np.eye(num_classes)[labels]
        ap = sk.average_precision_score(one_hot, probabilities, average=average, **given)
        assert found[average]["average_precision"] == pytest.approx(ap)
    matrix = sk.confusion_matrix(labels, predicted, labels=np.arange(num_classes), **given)
    np.testing.assert_allclose(found["confusion_matrix"], matrix)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted, **given))
    assert found["notes"] == []


def test_calibration_is_the_formula_of_the_paper():
    labels = np.random.default_rng(2).integers(0, 3, 300).astype(np.int32)
    probabilities, weight = softmax(300, 3), weights(300)
    found = evaluated(labels, probabilities, weight=weight).facts["statistics"]["label"]
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    error = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15) & (weight > 0)
        if inside.any():
            gap = np.average(right[inside], weights=weight[inside])
            gap -= np.average(confidence[inside], weights=weight[inside])
            error += weight[inside].sum() / weight.sum() * abs(gap)
    assert found["calibration"]["error"] == pytest.approx(error, abs=1e-6)
    assert found["calibration"]["accuracy"] == pytest.approx(found["accuracy"])


def test_one_probability_is_two_classes():
    rng = np.random.default_rng(3)
    labels, probability = rng.integers(0, 2, 90).astype(np.int32), rng.random(90, np.float32)
    result = evaluated(labels, probability[:, None], ["cat", "dog"])
    found = result.facts["statistics"]["label"]
    assert [row["class"] for row in found["per_class"]] == ["cat", "dog"]
    assert found["macro"]["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, probability))
    dog = found["per_class"][1]
    assert dog["recall"] == pytest.approx(sk.recall_score(labels, probability > 0.5))
    assert dog["average_precision"] == pytest.approx(
        sk.average_precision_score(labels, probability)
    )
    assert set(result.pictures) == {"confusion_matrix", "reliability", "curves"}


def test_a_missing_class_is_undefined_and_a_class_never_predicted_is_zero():
    labels = np.array([0, 0, 1, 1, 1], np.int32)
    probabilities = np.array([[0.9, 0, 0.1], [0.2, 0, 0.8], *[[0.7, 0.3, 0]] * 3], np.float32)
    result = evaluated(labels, probabilities, ["a", "b", "c"])
    found = result.facts["statistics"]["label"]
    a, b, c = found["per_class"]
    assert (b["precision"], b["recall"], b["f1"]) == (0, 0, 0)
    assert c == {
        "class": "c", "precision": None, "recall": None, "f1": None, "roc_auc": None,
        "average_precision": None, "support": 0,
    }  # fmt: skip
    assert found["macro"]["recall"] == pytest.approx((0.5 + 0) / 2)
    assert found["macro"]["roc_auc"] == pytest.approx((a["roc_auc"] + b["roc_auc"]) / 2)
    assert "no examples of c: left out of the averages" in found["notes"]
    assert "never predicted: b; precision counts as 0" in found["notes"]
    assert "no examples of c" in shown(result.facts)
    assert "| c | - | - | - | - | - | 0 |" in markdown.section("val", result.facts)


def test_a_split_of_one_class_has_no_roc():
    labels = np.zeros(4, np.int32)
    result = evaluated(labels, softmax(4, 2), ["a", "b"])
    found = result.facts["statistics"]["label"]
    assert found["macro"]["roc_auc"] is None
    assert "curves" not in result.pictures
    assert "nothing but a: its ROC AUC is not defined" in found["notes"]


@pytest.mark.parametrize("weight", [None, weights(120)], ids=["plain", "weighted"])
@pytest.mark.parametrize("num_labels", [1, 3])
def test_yes_or_no_labels_are_scikit_learns(num_labels, weight):
    rng = np.random.default_rng(4)
    # Yes is rarer than no, so that neither is taken for the other.
    labels = (rng.random((120, num_labels)) < 0.3).astype(int)
    probabilities = rng.random((120, num_labels), np.float32)
    names = ["x", "y", "z"][:num_labels]
    result = evaluated(labels.astype(np.float32), probabilities, names, weight=weight)
    found, says = result.facts["statistics"]["label"], probabilities > 0.5
    given = {"sample_weight": weight}
    assert found["kind"] == "yes_no"
    supports = []
    for row, truth, answer in zip(found["per_class"], labels.T, says.T, strict=True):
        scores = [f(truth, answer, **given) for f in (sk.precision_score, sk.recall_score)]
        assert [row["precision"], row["recall"]] == pytest.approx(scores)
        assert row["f1"] == pytest.approx(sk.f1_score(truth, answer, **given))
        matrix = sk.confusion_matrix(truth, answer, **given)
        counts = [[row["true_no"], row["false_yes"]], [row["false_no"], row["true_yes"]]]
        np.testing.assert_allclose(counts, matrix)
        supports.append(matrix[1].sum())
    of_each = [sk.f1_score(labels[:, k], says[:, k], **given) for k in range(num_labels)]
    assert found["macro"]["f1"] == pytest.approx(np.mean(of_each))
    assert found["weighted"]["f1"] == pytest.approx(np.average(of_each, weights=supports))
    for average in ("macro", "weighted"):
        auc = sk.roc_auc_score(labels, probabilities, average=average, **given)
        assert found[average]["roc_auc"] == pytest.approx(auc)
        if num_labels > 1:
            f1 = sk.f1_score(labels, says, average=average, **given)
            assert found[average]["f1"] == pytest.approx(f1)
    assert found["all_right"] == pytest.approx(sk.accuracy_score(labels, says, **given))
    mistake = found["mistakes"][0]
    column = names.index(mistake["class"])
    assert mistake["true"] == ("yes" if labels[mistake["row"], column] else "no")
    assert mistake["true"] != mistake["predicted"]
    assert "all answers" in shown(result.facts)


@pytest.mark.parametrize("weight", [None, weights(80)], ids=["plain", "weighted"])
@pytest.mark.parametrize("num_values", [1, 3])
def test_values_are_scikit_learns(num_values, weight):
    rng = np.random.default_rng(5)
    labels = rng.normal(size=(80, num_values)).astype(np.float32)
    predictions = labels + 0.3 * rng.normal(size=labels.shape).astype(np.float32)
    predictions[7, 0] += 9
    if weight is not None:
        weight[7] = 1
    given_labels = labels[:, 0] if num_values == 1 else labels
    result = evaluated(given_labels, predictions, weight=weight)
    found, given = result.facts["statistics"]["label"], {"sample_weight": weight}
    assert found["kind"] == "values"
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(labels, predictions, **given))
    rmse = sk.root_mean_squared_error(labels, predictions, **given)
    assert found["rmse"] == pytest.approx(rmse)
    assert found["r2"] == pytest.approx(sk.r2_score(labels, predictions, **given), abs=1e-5)
    assert found["mistakes"][0]["row"] == 7
    assert found["mistakes"][0]["error"] == pytest.approx(9, abs=1.5)
    assert "RMSE" in shown(result.facts)
    assert set(result.pictures) == {"values"}


@pytest.mark.parametrize("activation, kind", [("linear", "values"), ("sigmoid", "yes_no")])
@pytest.mark.parametrize("labels", [np.eye(3)[[0, 1, 1, 2]], np.array([[0], [1], [1], [0]])])
def test_the_activation_tells_values_from_yes_and_no(labels, activation, kind):
    labels = labels.astype(np.float32)
    predictions = np.full(labels.shape, 0.3, np.float32)
    predictions[0] = 0.6
    result = evaluated(labels, predictions, activation=activation)
    found = result.facts["statistics"]["label"]
    assert found["kind"] == kind
    is_right = correct(labels, predictions, activation)
    if kind == "values":
        assert is_right is None and found["mae"] == pytest.approx(abs(labels - predictions).mean())
    else:
        assert is_right.mean() == pytest.approx(found["accuracy"])


@pytest.mark.parametrize("activation", [None, "sigmoid", "linear", "softmax"])
@pytest.mark.parametrize("is_soft", [True, False])
def test_kept_accuracy_is_that_of_the_report(is_soft, activation):
    rows = softmax(40, 3, seed=1)
    labels = softmax(40, 3, seed=2) if is_soft else np.eye(3, dtype=np.float32)[rows.argmax(1) - 1]
    found = evaluated(labels, rows, activation=activation).facts["statistics"]["label"]
    is_right = correct(labels, rows, activation)
    if found["kind"] == "values":
        assert is_soft and activation in ("sigmoid", "linear") and is_right is None
    else:
        assert is_right.mean() == pytest.approx(found["accuracy"])


def test_a_value_that_never_changes_has_no_r2():
    labels = np.full((5, 1), 2.0, np.float32)
    found = evaluated(labels, labels + 1).facts["statistics"]["label"]
    assert found["r2"] is None and found["mae"] == pytest.approx(1)
    assert found["notes"] == ["value is the same in all examples: its R2 is not defined"]


def test_each_output_has_its_own_section_and_pictures():
    labels = {"kind": np.array([0, 1, 1, 0], np.int32), "size": np.full((4, 1), 2, np.float32)}
    predictions = {"kind": softmax(4, 2), "size": np.zeros((4, 1), np.float32)}
    result = evaluated(labels, predictions, ["a", "b"])
    assert set(result.facts["statistics"]) == {"label/kind", "label/size"}
    assert {"kind_confusion_matrix", "size_values"} <= set(result.pictures)
    text = markdown.section("val", result.facts)
    assert "### kind: Classes" in text and "(val/size_values.png)" in text


def test_outputs_of_like_names_have_pictures_of_their_own():
    names = ["a b", "a_b", "A/b", "a_b_2"]
    labels = {name: np.full((4, 1), k + 2, np.float32) for k, name in enumerate(names)}
    predictions = {name: np.zeros((4, 1), np.float32) for name in names}
    result = evaluated(labels, predictions)
    of_each = [found["pictures"] for found in result.facts["statistics"].values()]
    assert of_each == [["a_b_values"], ["a_b_2_values"], ["A_b_3_values"], ["a_b_2_2_values"]]
    assert list(result.pictures) == [name for (name,) in of_each]


def test_the_most_confident_mistake_comes_first_with_its_row_of_the_split():
    labels = np.array([0, 0, 0, 1], np.int32)
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.01, 0.99], [0.2, 0.8]], np.float32)
    weight = np.array([1, 1, 0, 1], np.float32)  # the third example is left out
    images = np.arange(4 * 2 * 2).reshape(4, 2, 2, 1).astype(np.uint8)
    result = evaluated(labels, probabilities, ["a", "b"], {"image": images}, weight=weight)
    mistakes = result.facts["statistics"]["label"]["mistakes"]
    assert [mistake["row"] for mistake in mistakes] == [0, 1]
    assert mistakes[0]["confidence"] == pytest.approx(0.9)
    drawn = [axes.images[0].get_array() for axes in result.pictures["mistakes"].axes]
    np.testing.assert_array_equal(drawn, images[[0, 1], ..., 0])


def test_many_classes_show_the_worst_and_the_best_with_a_word():
    labels = np.repeat(np.arange(30), 10).astype(np.int32)
    predicted = labels.copy()
    for k in range(30):
        predicted[10 * k : 10 * k + k // 4] = (k + 1) % 30
    probabilities = np.full((300, 30), 0.01, np.float32)
    probabilities[np.arange(300), predicted] = 0.71
    names = [f"kind {k}" for k in range(30)]
    result = evaluated(labels, probabilities, names)
    printed = shown(result.facts)
    assert "the 10 worst and 5 best of 30 by F1, all in report.md" in printed
    table = printed.partition("most confident")[0].partition("accuracy")[0]
    listed = [name for name in names if f" {name} " in table]
    f1 = {r["class"]: r["f1"] for r in result.facts["statistics"]["label"]["per_class"]}
    assert len(listed) == 15
    assert {f1[name] for name in listed} >= {min(f1.values()), max(f1.values())}
    section = markdown.section("val", result.facts)
    assert all(f"| {name} |" in section for name in names)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        (np.zeros(4, np.int32), np.full((4, 2), np.nan), "4 of 4 predictions are not finite"),
        (np.full(4, 9, np.int32), np.full((4, 2), 0.5), "these are no classes"),
        (np.arange(4, dtype=np.int32), np.full((4, 1), 0.5), "these are no classes"),
        (np.zeros(4, np.int32), np.full((4, 5), 0.2), "3 classes, predictions have 5 columns"),
        (np.zeros((4, 2), np.float32), np.zeros((4, 3)), "labels are [4, 2], predictions [4, 3]"),
        (np.zeros(4, np.int32), np.zeros((4, 2, 2)), "not a row an example"),
    ],
)
def test_what_does_not_apply_is_left_out_with_a_line(labels, predictions, message):
    facts = evaluated(labels, predictions.astype(np.float32), ["a", "b", "c"]).facts
    assert facts["statistics"] == {}
    assert len(facts["notes"]) == 1 and message in facts["notes"][0]
    assert message in shown(facts)
    assert message in markdown.section("val", facts)


@pytest.mark.parametrize("value", [2 * LOSS, np.nan])
def test_outputs_that_the_run_does_not_score_are_left_out(value):
    losses = np.full(4, value, np.float32)
    facts = evaluated(np.zeros(4, np.int32), softmax(4, 2), losses=losses).facts
    assert facts["statistics"] == {}
    assert "the run scores something else than the model's outputs" in facts["notes"][0]


def test_no_weight_at_all_is_a_line():
    facts = evaluated(np.zeros(4, np.int32), softmax(4, 2), weight=np.zeros(4, np.float32)).facts
    assert "all weights are 0" in facts["notes"][0]


def test_scores_are_ranked_but_not_calibrated():
    labels = np.array([0, 1, 2, 0], np.int32)
    scores = np.random.default_rng(6).normal(size=(4, 3)).astype(np.float32)
    found = evaluated(labels, scores).facts["statistics"]["label"]
    assert "calibration" not in found
    assert found["notes"][0] == "predictions are scores: calibration is left out"
    assert found["accuracy"] == np.mean(scores.argmax(1) == labels)


def test_names_are_text_and_not_markup():
    labels = np.array([0, 1, 1], np.int32)
    names = ["[red]a|b", "$x$ <b>"]
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1], [0.1, 0.9]], np.float32)
    images = np.zeros((3, 2, 2, 3), np.uint8)
    result = evaluated(labels, probabilities, names, {"image": images})
    assert "[red]a|b" in shown(result.facts)
    assert r"| [red]a\|b |" in markdown.section("val", result.facts)
    from trainer.report.figures import png

    assert all(png(figure).startswith(b"\x89PNG") for figure in result.pictures.values())
