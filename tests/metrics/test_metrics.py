import keras
import numpy as np
import pytest

from trainer.metrics import MetricSet

LABELS = np.array([0, 1, 1, 0], "int32")
LOGITS = np.array([[2, 1], [0, 1], [3, 1], [0, 1]], "float32")
LOSSES = np.array([1.0, 2.0, 3.0, 100.0], "float32")


def metric_set():
    return MetricSet({"accuracy": keras.metrics.SparseCategoricalAccuracy()}, "train")


def test_padding_with_weight_zero_does_not_count():
    metrics = metric_set()
    metrics.update(LABELS, LOGITS, np.array([1, 1, 1, 0], "float32"), LOSSES)
    assert metrics.result() == {"loss": 2.0, "accuracy": pytest.approx(2 / 3)}


def test_sparse_metrics_get_the_likeliest_class_of_soft_labels():
    labels = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3], [0.5, 0.5]], "float32")

    class OurAccuracy(keras.metrics.SparseCategoricalAccuracy):
        pass

    metrics = MetricSet(
        {
            "accuracy": keras.metrics.SparseCategoricalAccuracy(),
            "ours": OurAccuracy(),
            "top": keras.metrics.SparseTopKCategoricalAccuracy(k=1),
            "as_they_are": keras.metrics.MeanAbsoluteError(),
        },
        "train",
    )
    metrics.update(labels, LOGITS, np.array([1, 1, 1, 0], "float32"), LOSSES)
    error = np.abs(labels - LOGITS).mean(1)[:3].mean()
    assert metrics.result() == {
        "loss": 2.0, "accuracy": 1.0, "ours": 1.0, "top": 1.0, "as_they_are": pytest.approx(error)
    }  # fmt: skip


def test_integer_labels_in_a_column_are_no_soft_labels():
    metrics = metric_set()
    metrics.update(LABELS[:, np.newaxis], LOGITS, np.ones(4, "float32"), LOSSES)
    assert metrics.result()["accuracy"] == 0.5


def test_sets_made_from_the_same_metrics_do_not_share_sums():
    shared = {"accuracy": keras.metrics.SparseCategoricalAccuracy()}
    train, test = MetricSet(shared, "train"), MetricSet(shared, "test")
    train.update(LABELS, LOGITS, np.ones(4, "float32"), LOSSES)
    assert test.result()["accuracy"] == 0


def test_reset_forgets():
    metrics = metric_set()
    metrics.update(LABELS, LOGITS, np.ones(4, "float32"), LOSSES)
    metrics.reset()
    assert not any(np.any(v.numpy()) for v in metrics.variables)


def test_directions_are_those_that_keras_knows():
    metrics = metric_set()
    assert metrics.direction("loss") == "min"
    assert metrics.direction("accuracy") == "max"
    with pytest.raises(ValueError, match="no metric 'acuracy'; there are loss, accuracy"):
        metrics.direction("acuracy")
    unknown = MetricSet({"mean": keras.metrics.Mean()}, "train")
    with pytest.raises(ValueError, match="monitor_mode=max or monitor_mode=min"):
        unknown.direction("mean")


def test_other_objects_are_refused():
    with pytest.raises(ValueError, match=r"metrics\.f1=.*not a keras\.metrics\.Metric"):
        MetricSet({"f1": len}, "train")
    with pytest.raises(ValueError, match="'loss' is taken"):
        MetricSet({"loss": keras.metrics.Mean()}, "train")
