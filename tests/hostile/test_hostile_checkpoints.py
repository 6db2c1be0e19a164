"""Damaged checkpoints: named, set aside, and the run goes on from the one before."""

import pytest
from checkpoint_damage import DAMAGED, OF_STATES, OF_WEIGHTS, fewer_arrays, other_shapes, position
from hostile_run_folder import BEFORE, NEWEST, best, evaluate, resume
from test_fit import rows

from trainer.checkpoint_facts import STATE
from trainer.checkpoint_folder import CheckpointFolder


@pytest.mark.parametrize("case", [*DAMAGED, *OF_STATES])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(case, run_dir, caplog):
    {**DAMAGED, **OF_STATES}[case](run_dir / NEWEST)
    assert CheckpointFolder(run_dir / "checkpoints").latest(wanted=STATE).step == 2
    assert f"checkpoint {run_dir / NEWEST} is damaged: " in caplog.text
    assert not (run_dir / "checkpoints" / "marker").exists()


@pytest.mark.parametrize("case", ["a pickle", "a folder", "no positions"])
def test_a_damaged_checkpoint_is_set_aside_and_the_run_ends_the_same(case, run_dir, capsys, caplog):
    before = rows(run_dir)
    damage = {**DAMAGED, **OF_STATES}[case]
    damage(run_dir / NEWEST)
    resume(run_dir, capsys, 0)
    assert f"checkpoint {run_dir / NEWEST} is damaged: " in caplog.text
    assert "going on from step 2" in caplog.text
    assert rows(run_dir) == before
    assert (run_dir / NEWEST).with_suffix(".damaged").exists()
    assert not (run_dir / "checkpoints" / "marker").exists()


@pytest.mark.parametrize("case", ["cut", "no positions"])
def test_with_no_checkpoint_intact_the_run_does_not_begin_anew(case, run_dir, capsys, caplog):
    before = (run_dir / "metrics.jsonl").read_bytes()
    for name in (NEWEST, BEFORE):
        {**DAMAGED, **OF_STATES}[case](run_dir / name)
    assert "none of the 2 checkpoint(s)" in resume(run_dir, capsys, 1)
    assert (run_dir / "metrics.jsonl").read_bytes() == before


WEIGHTS_CASES = ["cut", "a bit of an array", "a pickle", "facts that are a list", *OF_WEIGHTS]


@pytest.mark.parametrize("case", WEIGHTS_CASES)
def test_damaged_weights_are_one_line(case, run_dir, capsys):
    {**DAMAGED, **OF_WEIGHTS}[case](best(run_dir))
    assert f"checkpoint {best(run_dir)} is damaged: " in evaluate(run_dir, capsys, 1)


@pytest.mark.parametrize("case", ["a bit of an array", "a value that is text"])
def test_a_run_sets_damaged_weights_aside(case, run_dir, capsys, caplog):
    path = best(run_dir)
    {**DAMAGED, **OF_WEIGHTS}[case](path)
    assert "last weights (step 4)" in evaluate(run_dir, capsys, 0, "weights=last")
    resume(run_dir, capsys, 0)
    assert f"checkpoint {path} is damaged: " in caplog.text
    assert path.with_suffix(".damaged").exists()


@pytest.mark.parametrize("damage", [other_shapes, fewer_arrays])
def test_arrays_of_another_model_are_one_line(damage, run_dir, capsys):
    before = (run_dir / "metrics.jsonl").read_bytes()
    damage(run_dir / NEWEST)
    damage(best(run_dir))
    assert f"{run_dir / NEWEST} does not fit this model" in resume(run_dir, capsys, 1)
    assert "does not fit this model" in evaluate(run_dir, capsys, 1)
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_other_files_among_the_checkpoints_are_left_alone(run_dir, capsys):
    for name in ("step_abc.safetensors", "best_.safetensors", "step_4 (copy).safetensors"):
        (run_dir / "checkpoints" / name).write_text("mine")
    resume(run_dir, capsys, 0)
    evaluate(run_dir, capsys, 0)
    assert len(list((run_dir / "checkpoints").glob("*_*.safetensors"))) == 6


def test_a_curve_shorter_than_its_position_is_said(run_dir, capsys, caplog):
    position(length=10**15)(run_dir / NEWEST)
    before = rows(run_dir)
    resume(run_dir, capsys, 0)
    assert "metrics.jsonl is not as the checkpoint left it" in caplog.text
    assert rows(run_dir) == before
