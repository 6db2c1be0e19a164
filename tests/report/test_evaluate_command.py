"""`evaluate` on trained runs: what it prints, writes and keeps."""

import json
import shutil
from pathlib import Path

import pytest
import sklearn.metrics as sk
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_run import train

from trainer.__main__ import entry
from trainer.compare.past_run import read_run
from trainer.split_predictions import SplitPredictions

WORDS = [
    *("data.limit=200", "duration=12st", "checkpoint_every=6st", "data.test=0.3"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("finished")
    assert train(run_dir, *WORDS) == 0
    return run_dir


@pytest.fixture(scope="module")
def evaluated(finished, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(finished, run_dir)
    assert entry(["evaluate", str(run_dir)]) == 0
    return run_dir


def metrics_of(run_dir):
    return json.loads((run_dir / "report" / "metrics.json").read_text())


def events_of(run_dir, split):
    accumulator = EventAccumulator(
        str(run_dir / "report" / split), {"scalars": 0, "images": 0, "tensors": 0}
    )
    return accumulator.Reload()


def test_metrics_equal_scikit_learns_on_the_kept_predictions(evaluated):
    facts = metrics_of(evaluated)["test"]
    kept = SplitPredictions.load(evaluated / "report" / "predictions_test.npz")
    labels, probabilities = kept.labels[None], kept.predictions[None]
    found = facts["statistics"]["label"]
    assert (kept.weights, kept.step) == ("best", facts["step"])
    assert len(labels) == facts["num_examples"] > 0
    assert facts["metrics"]["loss"] == pytest.approx(kept.losses.mean(), rel=1e-2)
    assert found["accuracy"] == sk.accuracy_score(labels, probabilities.argmax(1))
    assert facts["metrics"]["accuracy"] == pytest.approx(found["accuracy"])
    exact = probabilities / probabilities.sum(1, keepdims=True)
    for average in ("macro", "weighted"):
        auc = sk.roc_auc_score(labels, exact, multi_class="ovr", average=average)
        assert found[average]["roc_auc"] == pytest.approx(auc, abs=1e-5)
    report = sk.classification_report(
        labels, probabilities.argmax(1), output_dict=True, zero_division=0
    )
    for row in found["per_class"]:
        expected = report[row["class"]]
        assert row["f1"] == pytest.approx(expected["f1-score"])
        assert row["support"] == expected["support"]


def test_which_data_was_scored_is_kept(evaluated, tmp_path):
    run_dir = Path(shutil.copytree(evaluated, tmp_path / "run"))
    manifest = json.loads((run_dir / "manifest.json").read_text())
    own = manifest["data"]["test"]["fingerprint"]
    assert metrics_of(run_dir)["test"]["fingerprint"] == own
    kept = SplitPredictions.load(run_dir / "report" / "predictions_test.npz")
    assert (kept.data, kept.activations) == (own, {None: "softmax"})
    assert "test/accuracy" in read_run(run_dir).values
    assert entry(["evaluate", str(run_dir), "data.limit=100"]) == 0
    assert metrics_of(run_dir)["test"]["fingerprint"] != own
    run = read_run(run_dir)
    assert "test/accuracy" not in run.values and run.elsewhere == ("test",)


def test_the_report_links_pictures_that_are_there(evaluated):
    report = evaluated / "report"
    text = (report / "report.md").read_text()
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert {"test/confusion_matrix.png", "test/mistakes.png", "learning_curves.png"} <= set(links)
    assert all((report / link).read_bytes().startswith(b"\x89PNG") for link in links)


def test_tensorboard_shows_scalars_pictures_and_the_report(evaluated):
    facts, events = metrics_of(evaluated)["test"], events_of(evaluated, "test")
    tags = events.Tags()["tensors"]
    pictures = ("confusion_matrix", "reliability", "curves", "mistakes")
    assert {f"report/{name}" for name in pictures} <= set(tags)
    assert {"loss", "accuracy", "report/macro_f1", "report/calibration_error"} <= set(tags)
    (f1,) = events.Tensors("report/macro_f1")
    found = facts["statistics"]["label"]
    assert f1.step == facts["step"]
    assert f1.tensor_proto.float_val[0] == pytest.approx(found["macro"]["f1"])
    (text,) = [event for tag in tags if tag.startswith("report/text") or tag == "report"
               for event in events.Tensors(tag)]  # fmt: skip
    assert b"### Classes" in text.tensor_proto.string_val[0]


def test_another_split_is_added_and_the_same_one_replaced(evaluated, capsys):
    before = metrics_of(evaluated)["test"]
    assert entry(["evaluate", str(evaluated), "split=train", "weights=last"]) == 0
    assert "train: " in (printed := capsys.readouterr().out) and "last weights" in printed
    found = metrics_of(evaluated)
    assert found["test"] == before
    assert found["train"]["weights"] == "last"
    text = (evaluated / "report" / "report.md").read_text()
    assert text.index("## test") < text.index("## train")
    kept = SplitPredictions.load(evaluated / "report" / "predictions_train.npz")
    assert kept.weights == "last" and len(kept.losses) == found["train"]["num_examples"]
    (evaluated / "report" / "train" / "of_another_time.png").write_bytes(b"")
    assert entry(["evaluate", str(evaluated), "split=train", "weights=last"]) == 0
    assert metrics_of(evaluated) == found
    assert not (evaluated / "report" / "train" / "of_another_time.png").exists()
    assert len(events_of(evaluated, "train").Tensors("loss")) == 1


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"garbage", "other splits cannot be read"),
        (b"[1]", "other splits cannot be read"),
        (b'{"val": {"num_examples": "x"}}', "of val cannot be read; evaluate split=val"),
        (b'{"val": 3, "../x": {}}', "of val cannot be read; evaluate split=val"),
    ],
)
def test_facts_that_somebody_wrote_are_left_out_with_a_line(content, note, tmp_path):
    from trainer.report.evaluation import Evaluation
    from trainer.report.evaluation_files import write

    report = tmp_path / "report"
    report.mkdir()
    (report / "metrics.json").write_bytes(content)
    facts = {
        "num_examples": 1, "weights": "best", "step": 0, "metrics": {"loss": 0.5},
        "logged": {}, "notes": [], "statistics": {},
    }  # fmt: skip
    (line,) = write(tmp_path, "test", Evaluation(facts, {}), None)
    assert note in line
    assert metrics_of(tmp_path) == {"test": facts}


@pytest.mark.parametrize(
    "link", ["val/events.out.tfevents.1.tapeloop", "val/mistakes.png.partial", "val", "x.partial"]
)
def test_a_link_in_the_report_is_refused_and_nothing_written_through_it(link, tmp_path):
    from matplotlib.figure import Figure

    from trainer.disk import RunFolderError
    from trainer.report.evaluation import Evaluation
    from trainer.report.evaluation_files import write

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("mine")
    path = tmp_path / "run" / "report" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(mine if link == "val" else mine / "file")
    facts = {
        "num_examples": 1, "weights": "best", "step": 0, "metrics": {"loss": 0.5},
        "logged": {}, "notes": [], "statistics": {},
    }  # fmt: skip
    with pytest.raises(RunFolderError, match=f"{path}: a link; remove it"):
        write(tmp_path / "run", "val", Evaluation(facts, {"mistakes": Figure()}), None)
    assert [file.name for file in mine.iterdir()] == ["file"]
    assert (mine / "file").read_text() == "mine"


def test_a_metric_that_is_no_number_is_null(tmp_path):
    from trainer.report.evaluation import Evaluation
    from trainer.report.evaluation_files import write

    facts = {
        "num_examples": 1, "weights": "best", "step": 0, "metrics": {"loss": float("nan")},
        "logged": {}, "notes": [], "statistics": {},
    }  # fmt: skip
    write(tmp_path, "val", Evaluation(facts, {}), None)
    assert metrics_of(tmp_path)["val"]["metrics"] == {"loss": None}


@pytest.mark.slow
def test_a_rule_of_its_own_has_its_metrics_and_a_line(tmp_path, capsys):
    words = ["experiment=simclr", "data.limit=64", "duration=2st", "callbacks.progress=null"]
    assert entry([*words, "data.batch_size=16", f"hydra.run.dir={tmp_path}"]) == 0
    capsys.readouterr()
    assert entry(["evaluate", str(tmp_path), "weights=last"]) == 0
    printed = capsys.readouterr().out
    assert "val/loss" in printed
    assert "statistics of the predictions are left out" in printed
    assert not (tmp_path / "report" / "predictions_val.npz").exists()
    assert Path(tmp_path / "report" / "report.md").exists()


def test_help_and_unknown_options_are_answered_without_a_run(capsys):
    assert entry(["evaluate", "--help"]) == 0
    assert "RUN_DIR" in capsys.readouterr().out
    assert entry(["evaluate", "--splt", "x"]) == 2
    assert "evaluate: no option --splt" in capsys.readouterr().err
