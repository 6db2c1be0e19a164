import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import distribution
from trainer.losses import CrossEntropy
from trainer.metrics import ExpectedCalibrationError, MacroRecall, MetricSet, OfOutput
from trainer.predictions import activation_of

LABELS = np.array([0, 1, 1, 0], "int32")
LOGITS = np.array([[2, 1], [0, 1], [3, 1], [0, 1]], "float32")
LOSSES = np.array([1.0, 2.0, 3.0, 100.0], "float32")


def absolute_error(labels, logits):
    return keras.ops.mean(keras.ops.abs(labels - logits), axis=-1)


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
            "as_they_are": keras.metrics.MeanMetricWrapper(absolute_error),
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


def of_one(metric, labels=LABELS, outputs=LOGITS, activation="auto", split="test"):
    metrics = MetricSet({"it": metric}, split, activation)
    metrics.try_out(labels, outputs, np.ones(len(labels), "float32"), LOSSES)
    metrics.update(labels, outputs, np.ones(len(labels), "float32"), LOSSES)
    return metrics.result()["it"]


def operations(function):
    traced = tf.function(function).get_concrete_function(
        tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 2]), tf.TensorSpec([None])
    )
    return sorted(node.type for node in traced.graph.get_operations())


def test_the_usual_metrics_cost_no_operation_beside_their_own():
    metrics = MetricSet(
        {
            "accuracy": keras.metrics.SparseCategoricalAccuracy(),
            "top": keras.metrics.SparseTopKCategoricalAccuracy(k=2),
        },
        "train",
        activation_of(CrossEntropy()),
    )

    def directly(labels, logits, weight):
        metrics.loss.update_state(weight, weight)
        for metric in metrics.metrics.values():
            metric.update_state(labels, logits, sample_weight=weight)

    def by_the_set(labels, logits, weight):
        metrics.update(labels, logits, weight, weight)

    assert operations(by_the_set) == operations(directly)


def test_metrics_of_ones_own_say_what_they_take():
    class Seen(keras.metrics.MeanMetricWrapper):
        def __init__(self, name="seen"):
            super().__init__(lambda labels, outputs: outputs[:, 0], name=name)

        def get_config(self):
            return {"name": self.name}

    class SeenProbability(Seen):
        takes_probabilities = True

    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    assert of_one(Seen()) == pytest.approx(LOGITS[:, 0].mean())
    assert of_one(SeenProbability()) == pytest.approx(softmax[:, 0].mean())
    sigmoid = (1 / (1 + np.exp(-LOGITS[:, 0]))).mean()
    assert of_one(SeenProbability(), activation="sigmoid") == pytest.approx(sigmoid)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (keras.metrics.SparseCategoricalCrossentropy(), 1.2471),
        (keras.metrics.SparseCategoricalCrossentropy(from_logits=True), 1.2471),
        (keras.metrics.CategoricalCrossentropy(), 1.2471),
        (keras.metrics.CategoricalCrossentropy(from_logits=True), 1.2471),
        (keras.metrics.CategoricalAccuracy(), 0.5),
        (keras.metrics.TopKCategoricalAccuracy(k=2), 1.0),
        (keras.metrics.MeanIoU(2, sparse_y_pred=False, dtype="float32"), 1 / 3),
        (keras.metrics.OneHotMeanIoU(2, dtype="float32"), 1 / 3),
        (keras.metrics.AUC(from_logits=True), 0.375),
    ],
)
def test_keras_metrics_get_what_they_compare(metric, expected):
    logits = np.array([[2, 1], [0, 1], [3, 0], [0, 1]], "float32")  # wrong in the last two
    assert of_one(metric, outputs=logits) == pytest.approx(expected, rel=1e-3)


def test_one_output_tells_two_classes_apart():
    labels, logit = np.array([0, 1, 1, 0], "int32"), np.array([[-2], [0.1], [-1], [0.6]], "float32")
    for metric in (keras.metrics.SparseCategoricalAccuracy(), keras.metrics.BinaryAccuracy()):
        assert of_one(metric, labels, logit) == 0.5
        # Trained by squared error, an output is a probability: 0.1 is no, 0.6 is yes.
        assert of_one(metric, labels, logit, "linear") == 0.25
    assert of_one(MacroRecall(2), labels, logit) == 0.5


YES_AND_NO = np.array([[1, 1], [0, 1], [0, 0], [1, 0]], "float32")
VALUES = np.array([0.1, 2, 3, 4], "float32")


@pytest.mark.parametrize(
    ("metric", "labels", "outputs", "activation", "message"),
    [
        (keras.metrics.SparseCategoricalAccuracy(), VALUES, LOGITS[:, :1], "auto", "takes classes"),
        (
            keras.metrics.SparseCategoricalAccuracy(), YES_AND_NO, LOGITS, "sigmoid",
            "takes classes, .*keras.metrics.BinaryAccuracy",
        ),
        (keras.metrics.F1Score("macro"), YES_AND_NO, LOGITS, "sigmoid", "takes classes"),
        (ExpectedCalibrationError(), VALUES, LOGITS[:, :1], "auto", "takes classes"),
        (keras.metrics.BinaryAccuracy(), LABELS, LOGITS, "auto", "one of 2 classes; use .*Sparse"),
        (keras.metrics.AUC(), VALUES, LOGITS[:, :1], "linear", "labels are values"),
        (keras.metrics.Accuracy(), LABELS, LOGITS, "auto", "equality; use SparseCategorical"),
        (keras.metrics.Mean(), LABELS, LOGITS, "auto", "not of labels and outputs"),
        (keras.metrics.MeanIoU(2), LABELS, LOGITS, "auto", "set sparse_y_pred=false"),
        (
            keras.metrics.CategoricalCrossentropy(from_logits=True), LABELS, LOGITS[:, :1],
            "auto", "set from_logits=false",
        ),
        (keras.metrics.F1Score(), LABELS, LOGITS, "auto", r"shape \(2,\); it must be one number"),
        (MacroRecall(3), LABELS, LOGITS, "auto", "num_classes=3, but the model tells 2 classes"),
        (
            keras.metrics.MeanAbsoluteError(), LABELS, {"a": LOGITS}, "auto",
            "the outputs a; wrap it in trainer.metrics.OfOutput",
        ),
        (OfOutput("a", keras.metrics.MeanAbsoluteError()), LABELS, LOGITS, "auto", "of the output"),
        (
            OfOutput("b", keras.metrics.MeanAbsoluteError()), {"a": LABELS}, {"a": LOGITS}, "auto",
            "of the output b; there are a",
        ),
    ],
)  # fmt: skip
def test_what_would_not_measure_what_it_says_is_refused(
    metric, labels, outputs, activation, message
):
    with pytest.raises(ValueError, match=message) as refusal:
        of_one(metric, labels, outputs, activation)
    assert "\n" not in str(refusal.value)


def test_labels_mixed_in_training_are_classes_under_any_loss():
    mixed = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]], "float32")
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    assert of_one(accuracy, mixed, activation="sigmoid", split="train") == 1.0


def test_metrics_of_several_outputs_are_copied_and_have_directions():
    labels = {"class": LABELS, "value": VALUES}
    outputs = {"class": LOGITS, "value": VALUES[:, np.newaxis] + 0.5}
    metrics = {
        "accuracy": OfOutput("class", keras.metrics.SparseCategoricalAccuracy()),
        "mae": OfOutput("value", keras.metrics.MeanAbsoluteError()),
    }
    train, test = (
        MetricSet(metrics, split, {"class": "softmax", "value": "linear"})
        for split in ("train", "test")
    )
    train.update(labels, outputs, np.array([1, 1, 1, 0], "float32"), LOSSES)
    assert train.result() == {
        "loss": 2.0, "accuracy": pytest.approx(2 / 3), "mae": pytest.approx(0.5)
    }  # fmt: skip
    assert test.result() == {"loss": 0.0, "accuracy": 0.0, "mae": 0.0}
    assert (test.direction("accuracy"), test.direction("mae")) == ("max", "min")


def test_scores_are_means_of_their_own():
    metrics = MetricSet({}, "test", scores={"robust_accuracy": "max"})
    weight = np.array([1, 1, 2, 0], "float32")
    metrics.add_scores({"robust_accuracy": np.array([1, 0, 1, 5], "float32")}, weight)
    assert metrics.result() == {"loss": 0.0, "robust_accuracy": 0.75}
    assert metrics.direction("robust_accuracy") == "max"
    assert metrics.names == ["loss", "robust_accuracy"]
    assert len(metrics.variables) == 4
    metrics.reset()
    assert metrics.result()["robust_accuracy"] == 0.0
    with pytest.raises(ValueError, match="robust given, but declared are robust_accuracy"):
        metrics.add_scores({"robust": weight}, weight)
    with pytest.raises(ValueError, match=r"robust_accuracy has shape \(\)"):
        metrics.add_scores({"robust_accuracy": np.float32(1)}, weight)


@pytest.mark.parametrize(
    ("scores", "message"),
    [({"loss": "min"}, "'loss' is taken"), ({"it": "max"}, "'it' is taken"), ({"a": "up"}, "'up'")],
)
def test_scores_need_a_name_and_a_direction(scores, message):
    with pytest.raises(ValueError, match=message):
        MetricSet({"it": keras.metrics.AUC()}, "test", scores=scores)


def test_metrics_that_make_their_variables_late_add_up_over_replicas():
    strategy = distribution.mirrored(2)
    with strategy.scope():
        metrics = MetricSet(
            {
                "f1": keras.metrics.F1Score("micro"),
                "auc": keras.metrics.AUC(multi_label=True),
                "recall": MacroRecall(2),
                "error": ExpectedCalibrationError(),
            },
            "test",
        )
        weight = np.ones(4, "float32")
        metrics.try_out(LABELS, LOGITS, weight, LOSSES)
        alone = metrics.variables
        shares = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant([0, 1] if context.replica_id_in_sync_group == 0 else [2, 3])
        )

        @tf.function
        def step(share):
            rows = [tf.gather(array, share) for array in (LABELS, LOGITS, weight, LOSSES)]
            metrics.update(*rows)

        strategy.run(step, (shares,))
    assert [v is w for v, w in zip(metrics.variables, alone, strict=True)]
    together = MetricSet(metrics.metrics, "test")
    together.update(LABELS, LOGITS, weight, LOSSES)
    assert metrics.result() == pytest.approx(together.result())
