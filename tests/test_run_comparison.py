"""What the comparison of two run folders finds, on folders made by hand."""

import shutil

import numpy as np
import pytest
from test_writers import events

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.verify.comparison import STATE_ARRAYS, compare
from trainer.writers import RunWriter

KERNEL = np.arange(6, dtype="float32").reshape(2, 3)
ARRAYS = {"model/kernel": KERNEL, "optimizer/step": np.array(4), "nan": np.array([np.nan, 0.0])}
FACTS = {
    "ranking": [[0.5, 2]], "val_values": {"loss": 0.1}, "passed_over": [],
    "callbacks": {"0/History": {"epoch": [0, 1], "params": {}}},
    "seconds": {"steps": 1.0}, "positions": {"metrics": {"length": 3}},
}  # fmt: skip


def make(folder, seconds=1.0, points=range(1, 5)):
    """A run of four steps with an evaluation after the second and the last."""
    states = folder / "checkpoints"
    facts = {**FACTS, "seconds": {"steps": seconds}, "positions": {"metrics": {"length": seconds}}}
    checkpoint.save(states / "step_000000004.safetensors", Checkpoint(4, ARRAYS, facts))
    best = Checkpoint(2, {"model/kernel": KERNEL + 1}, {"value": 0.5, "mode": "min"})
    checkpoint.save(states / "best_000000002.safetensors", best)
    writer = RunWriter(folder)
    for step in points:
        row = {"step": step, "epoch": step / 2}
        writer.row({**row, "train/loss": 1 / step})
        if step % 2 == 0:
            writer.row({**row, "val/loss": 2 / step, "time/steps": seconds, "time/total": seconds})
    writer.close()
    return folder


@pytest.fixture
def whole(tmp_path):
    return make(tmp_path / "whole")


@pytest.fixture
def other(tmp_path):
    return make(tmp_path / "other", seconds=2.5)


def differences(whole, other):
    found = compare(whole, other)
    return {f.what: f.first_difference for f in found if f.first_difference or f.num_different}


def change_state(folder, arrays=None, facts=None, name="step_000000004"):
    path = folder / "checkpoints" / f"{name}.safetensors"
    there = checkpoint.load(path)
    changed = Checkpoint(
        there.step, {**there.arrays, **(arrays or {})}, {**there.facts, **(facts or {})}
    )
    checkpoint.save(path, changed)


def change_rows(folder, change):
    path = folder / "metrics.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def test_runs_that_differ_in_wall_time_alone_are_equal(whole, other):
    found = {comparison.what: comparison for comparison in compare(whole, other)}
    assert not differences(whole, other)
    assert (found[STATE_ARRAYS].num_items, found[STATE_ARRAYS].num_values) == (3, 9)
    assert found["metrics.jsonl: rows"].num_items == 6
    assert found["metrics.jsonl: rows"].num_values == 6 * 3
    assert found["TensorBoard train/: points"].num_items == 4
    assert found["TensorBoard val/: points"].num_items == 2


@pytest.mark.parametrize("bit", [0, 7, 31])
def test_one_flipped_bit_is_found_and_named(whole, other, bit):
    flipped = KERNEL.copy()
    flipped.view(np.uint32)[1, 2] ^= np.uint32(1 << bit)
    change_state(other, {"model/kernel": flipped})
    found = differences(whole, other)
    assert list(found) == [STATE_ARRAYS]
    assert found[STATE_ARRAYS].startswith("model/kernel: 1 of 6 values, first at [1, 2]: 5.0 and")
    assert "bytes 0000a040 and" in found[STATE_ARRAYS]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"nan": np.array([np.nan, -0.0])}, "nan: 1 of 2 values, first at [1]: 0.0 and -0.0"),
        ({"optimizer/step": np.array(5)}, "optimizer/step: 1 of 1 values, first at []: 4 and 5"),
        ({"model/kernel": KERNEL[:1]}, "model/kernel: float32[2, 3] and float32[1, 3]"),
        ({"model/kernel": KERNEL.astype(float)}, "model/kernel: float32[2, 3] and float64[2, 3]"),
        ({"seed": np.array(1)}, "seed: in the second folder alone"),
    ],
)
def test_any_difference_of_an_array_is_named(whole, other, arrays, message):
    change_state(other, arrays)
    assert differences(whole, other)[STATE_ARRAYS].startswith(message)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"ranking": [[0.5000000000000001, 2]]}, "ranking[0][0]: 0.5 and 0.5000000000000001"),
        ({"val_values": {}}, "val_values.loss: missing in the second folder"),
        ({"callbacks": {"0/History": {"epoch": [0, 2]}}}, "callbacks.0/History.epoch[1]: 1 and 2"),
        ({"passed_over": [{"step": 3}]}, "passed_over: missing in the second folder"),
    ],
)
def test_facts_of_the_state_are_compared(whole, other, facts, message):
    change_state(other, facts=facts)
    assert differences(whole, other) == {"final state: facts": message}


def test_the_best_weights_are_compared(whole, other):
    change_state(other, {"model/kernel": KERNEL}, {"value": 0.25}, "best_000000002")
    found = differences(whole, other)
    assert found["best weights: arrays"].startswith("best_000000002: model/kernel: 6 of 6 values")
    assert found["best weights: facts"] == "best_000000002: value: 0.5 and 0.25"
    path = other / "checkpoints" / "best_000000002.safetensors"
    path.rename(path.with_name("best_000000004.safetensors"))
    found = differences(whole, other)
    assert found["best weights: arrays"] == (
        "best_000000002: model/kernel: missing in the second folder"
    )


ROWS = {
    "changed": (
        lambda rows: [*rows[:3], rows[3].replace(b"0.33333", b"0.33334"), *rows[4:]],
        "training row of step 3: train/loss: 0.3333333333333333 and 0.3333433333333333",
    ),
    "missing": (
        lambda rows: [*rows[:2], *rows[3:]],
        "evaluation row of step 2: missing in the second folder",
    ),
    "twice": (
        lambda rows: [*rows[:2], rows[1], *rows[2:]],
        "training row of step 2 (number 2): in the second folder alone",
    ),
    "exchanged": (
        lambda rows: [rows[1], rows[0], *rows[2:]],
        "training row of step 1: in another place in the second folder",
    ),
    "cut": (
        lambda rows: [*rows[:-1], rows[-1][:20]],
        "evaluation row of step 4: missing in the second folder",
    ),
    "spelt otherwise": (
        lambda rows: [rows[0].replace(b"1.0", b"1.00"), *rows[1:]],
        'training row of step 1: {"step":1,"epoch":0.5,"train/loss":1.0} and '
        '{"step":1,"epoch":0.5,"train/loss":1.00}',
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_are_compared_as_bytes_and_named_by_step(whole, other, case):
    change, message = ROWS[case]
    change_rows(other, change)
    assert differences(whole, other) == {"metrics.jsonl: rows": message}


POINTS = {
    "twice": ([1, 2, 2, 3, 4], "loss at step 2 (number 2): in the second folder alone"),
    "missing": ([1, 2, 4], "loss at step 3: missing in the second folder"),
}


@pytest.mark.parametrize("case", POINTS)
def test_points_of_tensorboard_are_compared(whole, tmp_path, case):
    points, message = POINTS[case]
    other = make(tmp_path / "other", points=points)
    shutil.copy(whole / "metrics.jsonl", other)
    assert differences(whole, other)["TensorBoard train/: points"] == message


def test_a_second_event_file_is_a_duplicate(whole, other, tmp_path):
    writer = RunWriter(tmp_path / "late")
    writer.row({"step": 4, "epoch": 2.0, "train/loss": 0.25})
    writer.close()
    (file,) = (tmp_path / "late" / "train").iterdir()
    shutil.copy(file, other / "train" / f"{file.name}.2")
    assert len(events(other / "train")["loss"]) == 5
    assert differences(whole, other) == {
        "TensorBoard train/: points": "loss at step 4 (number 2): in the second folder alone"
    }


def test_a_point_of_another_value_is_named(whole, other, tmp_path):
    shutil.rmtree(other / "val")
    writer = RunWriter(tmp_path / "late")
    for step, value in ((2, 1.0), (4, np.nextafter(np.float32(0.5), np.float32(1)))):
        writer.row({"step": step, "epoch": step / 2, "val/loss": value})
    writer.close()
    shutil.copytree(tmp_path / "late" / "val", other / "val")
    found = differences(whole, other)["TensorBoard val/: points"]
    assert found == "loss at step 4: 0.5 and 0.5000000596046448"
