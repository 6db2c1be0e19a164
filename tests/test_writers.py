import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.writers import RunWriter


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        tag: [(e.step, e.tensor_proto) for e in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
    }


def lines(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_a_row_is_one_json_line_and_one_event_a_value(tmp_path):
    writer = RunWriter(tmp_path)
    row = {"step": 3, "epoch": 0.5, "train/loss": 1.5, "val/loss": 2.0, "time/seconds": 9.0}
    writer.row(row)
    writer.close()
    assert lines(tmp_path) == [row]
    train, val = events(tmp_path / "train"), events(tmp_path / "val")
    assert set(train) == {"loss", "time/seconds"}
    assert set(val) == {"loss"}
    step, value = val["loss"][0]
    assert step == 3
    assert value.float_val[0] == 2.0


def test_a_resumed_writer_cuts_back_to_its_checkpoint(tmp_path):
    writer = RunWriter(tmp_path)
    writer.row({"step": 1, "epoch": 0, "train/loss": 1.0})
    positions = writer.flush()
    writer.row({"step": 2, "epoch": 0, "train/loss": 2.0})
    writer.close()

    writer = RunWriter(tmp_path, positions)
    writer.row({"step": 2, "epoch": 0, "train/loss": 3.0})
    writer.close()
    assert [row["train/loss"] for row in lines(tmp_path)] == [1.0, 3.0]
    points = events(tmp_path / "train")["loss"]
    assert [(step, p.float_val[0]) for step, p in points] == [(1, 1.0), (2, 3.0)]


def test_a_new_writer_removes_what_no_checkpoint_holds(tmp_path):
    for value in (1.0, 2.0):
        writer = RunWriter(tmp_path)
        writer.row({"step": 1, "epoch": 0, "train/loss": value})
        writer.close()
    assert [row["train/loss"] for row in lines(tmp_path)] == [2.0]
    assert len(events(tmp_path / "train")["loss"]) == 1


def test_every_line_is_json_even_for_a_loss_that_is_not_a_number(tmp_path):
    writer = RunWriter(tmp_path)
    writer.row({"step": 1, "epoch": 0, "train/loss": float("nan")})
    writer.close()
    assert lines(tmp_path)[0]["train/loss"] is None


def test_text_and_images_have_their_pages(tmp_path):
    writer = RunWriter(tmp_path)
    writer.text("config", "```yaml\nseed: 0\n```")
    writer.images("training images", np.zeros((2, 8, 8, 3), "uint8"))
    writer.close()
    tags = events(tmp_path / "train")
    assert b"seed: 0" in tags["config"][0][1].string_val[0]
    width, height, *pictures = tags["training images"][0][1].string_val
    assert (width, height, len(pictures)) == (b"8", b"8", 2)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_many_steps_are_written_as_rows(tmp_path):
    writer = RunWriter(tmp_path)
    steps, losses = np.arange(1, 301), np.arange(300, dtype="float32")
    writer.rows({"step": steps, "epoch": steps / 4, "train/loss": losses, "train/rate": -losses})
    writer.close()
    assert [row["train/loss"] for row in lines(tmp_path)] == list(range(300))
    for tag, sign in (("loss", 1), ("rate", -1)):
        points = [(step, p.float_val[0]) for step, p in events(tmp_path / "train")[tag]]
        assert points == [(k + 1, float(sign * k)) for k in range(300)]


def test_steps_of_any_size_and_values_of_any_kind_are_read_back_as_written(tmp_path):
    steps = np.array([0, 1, 127, 128, 2**31, 2**40, 2**62])
    values = np.array([0, -0.0, 1e-45, 3.4e38, np.inf, -np.inf, np.nan], "float32")
    writer = RunWriter(tmp_path)
    writer.rows({"step": steps, "epoch": steps / 4, "val/loss": values})
    writer.close()
    points = events(tmp_path / "val")["loss"]
    assert [step for step, _ in points] == steps.tolist()
    np.testing.assert_array_equal([p.float_val[0] for _, p in points], values)


def test_event_files_are_records_that_tensorflow_reads(tmp_path):
    writer = RunWriter(tmp_path)
    writer.rows({"step": np.arange(3), "epoch": np.zeros(3), "train/loss": np.ones(3)})
    writer.text("config", "seed: 0")
    writer.close()
    file = next((tmp_path / "train").iterdir())
    assert len(list(tf.data.TFRecordDataset(str(file)))) == 1 + 3 + 1


def test_what_goes_wrong_in_the_thread_is_raised_by_the_next_call(tmp_path):
    writer = RunWriter(tmp_path)
    writer.row({"epoch": 0})
    with pytest.raises(KeyError, match="step"):
        writer.flush()
    writer.close()
