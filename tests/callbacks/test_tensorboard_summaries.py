"""What TensorBoard's pages show of a run, read back from its event files."""

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from test_fit import rows
from test_run import train
from test_writers import events
from toy import toy_arrays, toy_data, toy_trainer

from trainer import config
from trainer.__main__ import entry
from trainer.build import build
from trainer.callbacks.confusion_matrix import ConfusionMatrixPicture
from trainer.callbacks.histograms import Histograms
from trainer.callbacks.model_graph import part
from trainer.callbacks.precision_recall import PrecisionRecall
from trainer.callbacks.predicted_images import PredictedImages
from trainer.data.data import Data
from trainer.report.session_settings import settings_of
from trainer.split_predictions import predict_split
from trainer.trained_model import find_weights
from trainer.trainer import Trainer

DEFAULTS = ["duration=3ep", "eval_every=1ep"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    assert train(folder, *DEFAULTS) == 0
    return folder


@pytest.fixture(scope="module")
def predictions(run_dir):
    trainer = build(config.load(run_dir), None).trainer
    trainer.load_weights(find_weights(run_dir, "last"))
    return predict_split(trainer, "val")


def array(point):
    return tf.make_ndarray(point[1])


def hparams_plugin(run_dir):
    accumulator = EventAccumulator(str(run_dir))
    accumulator.Reload()
    content = accumulator.PluginTagToContent("hparams")
    parsed = dict.fromkeys(content, hparams_metadata.parse_session_start_info_plugin_data)
    parsed[hparams_metadata.SESSION_END_INFO_TAG] = (
        hparams_metadata.parse_session_end_info_plugin_data
    )
    return {tag: parsed[tag](data) for tag, data in content.items()}


def test_curves_of_precision_and_recall_are_those_of_the_predictions(run_dir, predictions):
    points = events(run_dir / "val")["precision and recall/3"]
    assert [step for step, _ in points] == [6, 12, 18]
    true, false, _, missed, precision, recall = array(points[-1])
    is_three, probability = predictions.labels[None] == 3, predictions.predictions[None][:, 3]
    for t in (0, 40, 100):
        found = probability * 126 >= t
        assert true[t] == (found & is_three).sum()
        assert false[t] == (found & ~is_three).sum()
        assert missed[t] == (~found & is_three).sum()
    np.testing.assert_allclose(recall, true / is_three.sum())
    assert precision[0] == pytest.approx(is_three.mean())


def test_confusions_are_counted_by_the_evaluation_itself(run_dir, predictions):
    trainer = build(config.load(run_dir), None).trainer
    trainer.load_weights(find_weights(run_dir, "last"))
    trainer.evaluate("val")
    counted = trainer.test_metrics.observers["confusion matrix"].matrix.numpy()
    found = predictions.predictions[None].argmax(axis=1)
    expected = confusion_matrix(predictions.labels[None], found, labels=range(10))
    np.testing.assert_array_equal(counted, expected)


def test_observers_that_cannot_measure_the_data_are_left_out():
    callbacks = [ConfusionMatrixPicture(), PrecisionRecall()]
    assert not toy_trainer(callbacks=callbacks).test_metrics.observers  # no class names
    other_classes = toy_trainer(callbacks=callbacks, data=toy_data(class_names="abcde"))
    assert not other_classes.test_metrics.observers
    fitting = toy_trainer(callbacks=callbacks, data=toy_data(class_names="abc"))
    assert set(fitting.test_metrics.observers) == {"confusion matrix", "precision and recall, 3"}
    assert set(fitting.evaluate()) == {"loss", "accuracy"}


class OfSomethingElse(Trainer):
    labels_are_classes = False


def test_a_rule_with_labels_of_its_own_has_no_confusions():
    callbacks = [ConfusionMatrixPicture(), PrecisionRecall()]
    trainer = toy_trainer(OfSomethingElse, callbacks=callbacks, data=toy_data(class_names="abc"))
    assert not trainer.test_metrics.observers


def test_of_several_outputs_those_of_classes_are_shown(tmp_path):
    words = ["experiment=two_inputs", "data.limit=64", "duration=2st"]
    assert entry([*words, f"hydra.run.dir={tmp_path}"]) == 0
    tags = events(tmp_path / "val")
    assert "confusion matrix of class" in tags
    assert {tag for tag in tags if tag.startswith("precision and recall")} == {
        f"precision and recall of class/{name}"
        for name in json.loads((tmp_path / "manifest.json").read_text())["class_names"]
    }


def test_every_evaluation_has_its_pictures(run_dir):
    tags = events(run_dir / "val")
    for tag in ("confusion matrix", "predictions"):
        assert [step for step, _ in tags[tag]] == [6, 12, 18]
        width, _, png = tags[tag][0][1].string_val
        assert tf.io.decode_png(png).shape[1] == int(width)


def test_the_graph_is_of_the_model_alone(run_dir):
    accumulator = EventAccumulator(str(run_dir / "val"))
    accumulator.Reload()
    names = [node.name for node in accumulator.Graph().node]
    assert any("mlp" in name and "hidden_1" in name for name in names)
    assert not any("cross_entropy" in name for name in names)


def test_a_part_of_a_graph_keeps_what_it_takes_and_no_more():
    with tf.Graph().as_default() as graph:
        before = tf.constant([1.0], name="before")
        given = tf.identity(before, name="given")
        with tf.name_scope("net_1"):
            inside = tf.nn.relu(given, name="inside")
        tf.negative(inside, name="after")
    found = {node.name: list(node.input) for node in part(graph.as_graph_def(), "net").node}
    assert found == {"given": [], "net_1/inside": ["given"]}
    assert len(part(graph.as_graph_def(), "other").node) == 4


def test_a_chart_for_each_metric_shows_training_and_validation(run_dir):
    ((step, layout),) = events(run_dir / "train")["custom_scalars__config__"]
    found = layout_pb2.Layout.FromString(layout.string_val[0])
    assert step == 0
    assert [chart.title for chart in found.category[0].chart] == ["loss", "accuracy"]


def test_the_session_has_settings_status_and_the_metrics_of_the_best_weights(run_dir):
    found = hparams_plugin(run_dir)
    settings = found["_hparams_/session_start_info"].hparams
    assert settings["model"].string_value == "MLP"
    assert settings["optimizer.learning_rate"].number_value > 0
    assert "callbacks.progress" not in settings
    assert found["_hparams_/session_end_info"].status == Status.STATUS_SUCCESS
    best = find_weights(run_dir, "best")
    ((step, value),) = events(run_dir)["best/val/accuracy"]
    assert step == best.step
    assert value.float_val[0] == pytest.approx(best.facts["values"]["val/accuracy"])


def test_a_run_that_fails_is_a_failed_session(tmp_path):
    assert train(tmp_path, "duration=2ep", "optimizer.learning_rate=1e38") == 1
    status = hparams_plugin(tmp_path)["_hparams_/session_end_info"].status
    assert status == Status.STATUS_FAILURE


def test_settings_are_flat_and_of_plain_types():
    config = {"seed": 1, "model": {"_target_": "a.b.Net", "sizes": [1, 2], "x": None},
              "callbacks": {"progress": {"_target_": "p"}}, "data": {"root": "/x"}}  # fmt: skip
    expected = {"seed": 1, "model": "Net", "model.sizes": "[1, 2]", "model.x": "None"}
    assert settings_of(config) == expected


def test_histograms_show_weights_and_gradients_and_change_nothing(tmp_path):
    for name, callbacks in (("with", [Histograms("0st")]), ("without", [])):
        trainer = toy_trainer(callbacks=callbacks, run_dir=tmp_path / name, eval_every="2st")
        trainer.fit("4st")
    plain, watched = (
        [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows(tmp_path / n)]
        for n in ("without", "with")
    )
    assert plain == watched
    tags = events(tmp_path / "with" / "train")
    kernels = [tag for tag in tags if tag.endswith("kernel")]
    assert {tag.split("/")[0] for tag in kernels} == {"weights", "gradients"}
    last = array(tags[next(tag for tag in kernels if tag.startswith("weights/"))][-1])
    assert last[:, 2].sum() == trainer.model.trainable_variables[0].numpy().size


def test_looking_at_the_next_step_leaves_a_data_set_where_it_stood(tmp_path):
    losses = []
    for callbacks in ([], [Histograms("0st")]):
        data = Data(train=tf.data.Dataset.from_tensor_slices(toy_arrays(40, 0)).batch(8),
                    val=toy_arrays(16, 1))  # fmt: skip
        run_dir = tmp_path / str(len(callbacks))
        toy_trainer(callbacks=callbacks, data=data, run_dir=run_dir, eval_every="2st").fit("10st")
        losses.append([row["train/loss"] for row in rows(run_dir) if "train/loss" in row])
    assert losses[0] == losses[1]


def test_a_third_of_the_pictures_are_right_ones_where_there_are_so_many():
    choose = PredictedImages(num_images=6, num_looked_at=10)._choose
    is_right = np.array([True] * 5 + [False] * 5)
    np.testing.assert_array_equal(choose(is_right, np.ones(10, bool)), [5, 6, 7, 8, 0, 1])
    np.testing.assert_array_equal(choose(np.ones(10, bool), np.arange(10) < 4), [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"num_images=0: from 1 to num_looked_at=64"):
        PredictedImages(num_images=0)


def test_many_classes_have_one_curve_together(tmp_path):
    assert train(tmp_path, "duration=1ep", "callbacks.precision_recall.max_classes=5") == 0
    curves = {t: p for t, p in events(tmp_path / "val").items() if t.startswith("precision")}
    assert set(curves) == {"precision and recall/all classes"}
    true, _, _, missed, _, _ = array(curves["precision and recall/all classes"][0])
    np.testing.assert_array_equal(true + missed, 200)  # each is of one class
