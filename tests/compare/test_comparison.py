import statistics

import numpy as np
import pytest
from runs_made_up import keep_predictions, make_run

from trainer.compare.comparison import compared, read_runs
from trainer.config import ConfigError

ACCURACIES = {0.1: (0.90, 0.92, 0.97), 0.01: (0.80, 0.85, 0.84)}
LABELS = np.array([0, 1] * 50, np.int32)


@pytest.fixture
def six(tmp_path):
    """Two settings of three seeds, as a list of folders; the worse setting first."""
    return [
        make_run(tmp_path / f"{rate}_{seed}", accuracy, seed, rate)
        for rate in sorted(ACCURACIES)
        for seed, accuracy in enumerate(ACCURACIES[rate])
    ]


def compare(folders, **options):
    runs, damaged = read_runs(folders)
    assert not damaged
    return compared(runs, **options)


def wrong_in(num):
    """The labels, with the first `num` of them changed."""
    classes = LABELS.copy()
    classes[:num] = 1 - classes[:num]
    return classes


def test_seeds_are_grouped_and_the_best_group_is_first(six):
    found = compare(six)
    assert [group.settings["optimizer.learning_rate"] for group in found.groups] == ["0.1", "0.01"]
    for group, accuracies in zip(found.groups, ACCURACIES.values(), strict=True):
        assert group.mean("val/accuracy") == pytest.approx(statistics.mean(accuracies))
        assert group.std("val/accuracy") == pytest.approx(statistics.stdev(accuracies))
    assert found.telling == found.varied == ["optimizer.learning_rate"]
    assert (found.metric, found.mode) == ("val/accuracy", "max")


def test_what_is_best_at_its_least_is_ranked_so(six):
    found = compare(six, metric="loss")
    assert (found.metric, found.mode) == ("val/loss", "min")
    assert found.groups[0].settings["optimizer.learning_rate"] == "0.1"
    found = compare(six, metric="val/loss", mode="max")
    assert found.groups[0].settings["optimizer.learning_rate"] == "0.01"


def test_a_metric_that_no_run_has_is_refused_with_the_nearest(six):
    with pytest.raises(ConfigError, match=r"--metric val/acuracy: .* did you mean val/accuracy"):
        compare(six, metric="val/acuracy")


def test_without_predictions_the_interval_is_over_seeds(six):
    found = compare(six)
    assert (found.quantity, found.method) == ("val/accuracy", "welch")
    assert found.differences[0] is None and found.differences[1].low < found.differences[1].high
    assert "6 of 6 finished runs keep no predictions on val" in found.notes[-1]
    assert f"evaluate {six[0]} split=val" in found.notes[-1]


def test_single_runs_without_predictions_have_no_interval(six):
    found = compare([six[0], six[3]])
    assert found.method == "none" and found.groups[0].std("val/accuracy") is None
    assert found.differences[1].value == pytest.approx(0.80 - 0.90)
    assert found.differences[1].low is None


def test_kept_predictions_are_compared_example_by_example(six):
    for folder, num_wrong in zip(six, (20, 22, 24, 10, 11, 12), strict=True):
        keep_predictions(folder, LABELS, wrong_in(num_wrong))
    found = compare(six)
    assert (found.quantity, found.method) == ("test/accuracy", "bootstrap")
    assert found.metrics == ["val/accuracy", "test/accuracy"]
    assert found.groups[0].mean("test/accuracy") == pytest.approx(0.89)
    assert found.differences[1].value == pytest.approx(-0.11)
    # Examples 12 to 20 are wrong in all seeds of the one and right in all of the other.
    assert -0.20 < found.differences[1].low < -0.11 < found.differences[1].high < -0.04
    assert found.notes == []


def test_ranked_by_a_loss_the_losses_are_compared(six):
    for k, folder in enumerate(six):
        losses = np.linspace(0, 1, len(LABELS), dtype=np.float32) + k
        keep_predictions(folder, LABELS, LABELS, losses=losses)
    found = compare(six, metric="val/loss")
    assert found.quantity == "test/loss"
    difference = found.differences[1]
    assert (difference.value, difference.low, difference.high) == pytest.approx((-3, -3, -3))


def test_the_baseline_may_be_any_run_of_a_group(six):
    found = compare(six, baseline=six[1])
    assert found.baseline == 1 and found.differences[1] is None
    assert found.differences[0].value > 0
    with pytest.raises(ConfigError, match="--baseline elsewhere: not one of the finished runs"):
        compare(six, baseline=six[0].__class__("elsewhere"))


def test_predictions_of_other_examples_are_not_paired(six):
    keep_predictions(six[0], LABELS, LABELS)
    keep_predictions(six[3], LABELS[::-1].copy(), LABELS)
    found = compare([six[0], six[3]])
    assert found.method == "none"


def test_predictions_of_other_weights_are_not_used(six):
    keep_predictions(six[0], LABELS, LABELS, step=19)
    keep_predictions(six[3], LABELS, LABELS)
    found = compare([six[0], six[3]])
    assert found.method == "none"
    assert "of step 19, the best weights are of step 20; not used" in found.notes[0]


def test_damaged_predictions_are_named_and_the_rest_goes_on(six):
    keep_predictions(six[0], LABELS, LABELS)
    (six[0] / "report" / "predictions_test.npz").write_bytes(b"PK\3\4 no archive")
    found = compare([six[0], six[3]])
    assert f"{six[0]}/report/predictions_test.npz: holds no predictions" in found.notes[0]


def test_a_group_with_predictions_of_some_seeds_has_no_interval_over_examples(six):
    for folder in six[1:]:
        keep_predictions(folder, LABELS, LABELS)
    found = compare(six)
    assert found.method == "welch" and "1 of 6" in found.notes[-1]


def test_runs_that_are_not_finished_are_kept_apart(six, tmp_path):
    stopped = make_run(tmp_path / "stopped", 0.99, seed=3, has_ended=False)
    found = compare([*six, stopped])
    assert [run.folder for run in found.others] == [stopped]
    assert [len(group.runs) for group in found.groups] == [3, 3]


def test_a_run_without_a_number_is_last(six, tmp_path):
    diverged = make_run(tmp_path / "diverged", float("nan"), learning_rate=10)
    found = compare([diverged, *six])
    assert found.groups[-1].runs[0].folder == diverged


def test_damaged_folders_are_named_and_the_rest_goes_on(six):
    (six[0] / "config.yaml").unlink()
    runs, damaged = read_runs(six)
    assert len(runs) == 5 and damaged == [f"{six[0]}: it has no config.yaml"]


@pytest.mark.parametrize(
    "facts, note",
    [
        ({"data": {"val": {"fingerprint": "other"}}}, "different val data"),
        ({"git": {"commit": "other"}}, "2 versions of the code"),
        ({"config": {"loss": {"label_smoothing": 0.1}}}, "different loss functions"),
        ({"config": {"monitor": "val/loss"}}, "the runs monitor val/accuracy (1), val/loss (1)"),
    ],
)
def test_doubts(tmp_path, facts, note):
    same = {"data": {"val": {"fingerprint": "one"}}, "git": {"commit": "one"}}
    first = make_run(tmp_path / "a", 0.9, **same)
    second = make_run(tmp_path / "b", 0.8, learning_rate=0.01, **same | facts)
    metric = "loss" if "loss" in note and "monitor" not in note else None
    assert any(note in line for line in compare([first, second], metric=metric).notes)
    assert not any(note in line for line in compare([first], metric=metric).notes)


def test_a_seed_that_is_there_twice_is_said(tmp_path):
    found = compare([make_run(tmp_path / "a", seed=4), make_run(tmp_path / "b", seed=4)])
    assert "several runs of seed 4" in found.notes[0]


def test_what_the_kept_predictions_give_otherwise_is_said(six):
    for folder, num_wrong in zip((six[0], six[3]), (21, 10), strict=True):
        keep_predictions(folder, LABELS, wrong_in(num_wrong), split="val")
    found = compare([six[0], six[3]])
    assert found.differences[1].value == pytest.approx(-0.11)
    assert "other differences than the metrics in the table (by 0.0100" in found.notes[-1]
