"""Runs from the command line on image files, in memory and from disk."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from trainer.__main__ import entry


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for k in range(20):
            pixels = rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{k}.jpg")
    return tmp_path / "images"


def train(root, run_dir, *words):
    return entry(
        [
            "data=class_folder", f"data.root={root}", "data.batch_size=8", "data.limit=30",
            "model=mlp", "augment=flip_crop", "precision=float32", "duration=3ep", "jit=false",
            f"hydra.run.dir={run_dir}", *words,
        ]
    )  # fmt: skip


def scalars(run_dir):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def test_a_streamed_run_is_the_resident_run(root, tmp_path):
    runs = {}
    for feed in ("streamed", "resident", "auto"):
        runs[feed] = tmp_path / feed
        assert train(root, runs[feed], f"data.feed={feed}") == 0
        said = "read from disk while training" in (runs[feed] / "train.log").read_text()
        assert said == (feed == "streamed")
    assert scalars(runs["streamed"]) == scalars(runs["resident"]) == scalars(runs["auto"])
    facts = {feed: json.loads((run / "manifest.json").read_text()) for feed, run in runs.items()}
    train_data = {feed: fact["data"]["train"] for feed, fact in facts.items()}
    assert train_data["streamed"]["num_examples"] == train_data["resident"]["num_examples"] == 30
    assert train_data["streamed"]["fingerprint"] != train_data["resident"]["fingerprint"]
    assert train_data["auto"] == train_data["resident"]


def test_a_streamed_run_is_taken_up_where_it_was(root, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(root, whole, "data.feed=streamed", "schedule=constant") == 0
    for duration in ("4st", "3ep"):
        words = ("data.feed=streamed", "schedule=constant", f"duration={duration}")
        assert train(root, parts, *words, "resume=command") == 0
    name = "train/gradient_norm"
    ours, theirs = (
        {row["step"]: row[name] for row in scalars(run) if name in row} for run in (parts, whole)
    )
    assert ours == theirs and len(ours) == 9


def test_a_file_that_broke_since_the_last_run_is_one_line(root, tmp_path, capfd):
    assert train(root, tmp_path / "first", "data.feed=streamed") == 0
    for path in root.glob("*/*"):
        stat = path.stat()
        path.write_bytes(path.read_bytes()[:-30] + b"x" * 30)
        if path.name not in ("0.jpg", "1.jpg"):  # the first batch, most likely, without them
            path.write_bytes(b"x" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    capfd.readouterr()
    assert train(root, tmp_path / "second", "data.feed=streamed") != 0
    err = capfd.readouterr().err
    assert "images cannot be read" in err and "Traceback" not in err
    assert not any((tmp_path / "second").glob("checkpoints/*"))
