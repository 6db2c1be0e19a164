import statistics

import numpy as np
import pytest
from runs_made_up import keep_metrics, keep_predictions, make_run

from trainer.compare import comparison
from trainer.compare.comparison import compared, read_runs
from trainer.compare.past_run import read_run
from trainer.compare.wording import explanation
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


def test_what_single_runs_of_other_examples_lack_is_said(six):
    keep_predictions(six[0], LABELS, LABELS)
    keep_predictions(six[3], LABELS[::-1].copy(), LABELS)
    lines = explanation(compare([six[0], six[3]]))
    assert "without kept predictions of the same examples have no interval" in lines[-1]


@pytest.fixture
def of_two(tmp_path):
    """Two runs with the same test data, of which the second was evaluated on other data."""
    facts = {"data": {"test": {"fingerprint": "own"}}}
    folders = [make_run(tmp_path / name, seed=3, learning_rate=rate, **facts)
               for name, rate in (("a", 0.1), ("b", 0.01))]  # fmt: skip
    for folder, data, accuracy in zip(folders, ("own", "other"), (0.7, 0.9), strict=True):
        keep_metrics(folder, metrics={"accuracy": accuracy}, fingerprint=data)
        keep_predictions(folder, LABELS, LABELS, data=data)
    return folders


def test_an_evaluation_on_other_data_is_not_used_and_said_once(of_two):
    found = compare(of_two, metric="test/accuracy")
    assert [run.folder.name for group in found.groups for run in group.runs] == ["a"]
    assert [run.folder.name for run in found.others] == ["b"]
    (line,) = [note for note in found.notes if "own test data" in note]
    assert line.startswith("b: ") and f"evaluate {of_two[1]} split=test" in line
    with pytest.raises(ConfigError, match=r"no run has such a metric.*own test data"):
        compare(of_two[1:], metric="test/accuracy")


def test_predictions_alone_of_other_data_are_not_used(of_two):
    (of_two[1] / "report" / "metrics.json").unlink()
    found = compare(of_two)
    assert found.method == "none" and "test/accuracy" not in found.groups[1].runs[0].values
    assert sum("own test data" in note for note in found.notes) == 1


def test_predictions_of_the_own_data_are_paired(of_two):
    keep_predictions(of_two[1], LABELS, wrong_in(9), data="own")
    keep_metrics(of_two[1], metrics={"accuracy": 0.91}, fingerprint="own")
    found = compare(of_two)
    assert found.method == "bootstrap" and not any("own" in note for note in found.notes)


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


def test_numbers_that_are_too_large_are_left_out(six):
    keep_metrics(six[0], metrics={"accuracy": 10**400, "loss": 0.5})
    row = f'{{"step":20,"epoch":2,"val/loss":{10**400},"time/total":{10**400}}}\n'
    (six[1] / "metrics.jsonl").write_text(row)
    runs, damaged = read_runs(six)
    assert (len(runs), damaged) == (6, [])
    assert runs[0].evaluated == {"test/loss": 0.5}


def test_what_nobody_thought_of_is_the_line_of_one_run(six, monkeypatch):
    def read(folder):
        if folder == six[2]:
            raise OverflowError("int too large\nto convert")
        return read_run(folder)

    monkeypatch.setattr(comparison, "read_run", read)
    runs, damaged = read_runs(six)
    assert len(runs) == 5 and len(damaged) == 1
    assert damaged[0].startswith(f"{six[2]}: cannot be read (OverflowError")
    assert "\n" not in damaged[0]


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
