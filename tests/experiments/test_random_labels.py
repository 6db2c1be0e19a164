"""The corruptions against their definitions, and the study around real, tiny trainings."""

import csv
import fcntl
import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import random_labels
from experiments.random_labels import averaged, corrupted, main, steps_to
from trainer import study
from trainer.__main__ import entry
from trainer.data.dataset import DataSet, check_arrays

NUM_CLASSES = 10
NUM_PIXELS = 12 * 12


def load():
    """Images in which every pixel is another one, and tells its image by the last channel."""
    splits = {}
    for split, n in (("train", 200), ("test", 40)):
        image = np.zeros((n, NUM_PIXELS, 3), np.uint8)
        image[..., 0] = np.arange(NUM_PIXELS)
        image[..., 1] = 255 - image[..., 0]
        image[..., 2] = np.arange(n)[:, np.newaxis]
        label = np.arange(n, dtype=np.int32) % NUM_CLASSES
        splits[split] = {"image": image.reshape(n, 12, 12, 3), "label": label}
    return splits


SOURCE = DataSet("toy", tuple("abcdefghij"), load)


def labels(corruption, source=SOURCE, **arguments):
    return corrupted(source, corruption, **arguments).load()["train"]["label"]


def pixels(corruption, split="train", **arguments):
    image = corrupted(SOURCE, corruption, **arguments).load()[split]["image"]
    return image.reshape(len(image), NUM_PIXELS, 3)


@pytest.mark.parametrize("corruption", random_labels.TITLES)
def test_a_corruption_holds_the_contract_and_is_the_same_every_time(corruption):
    data_set = corrupted(SOURCE, corruption)
    splits, original = data_set.load(), load()
    check_arrays(data_set, splits)
    assert data_set.class_names == SOURCE.class_names
    for split, arrays in corrupted(SOURCE, corruption).load().items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, splits[split][key])
            is_changed = key == "image" and corruption != "none"
            if corruption.endswith("labels"):
                is_changed = (split, key) == ("train", "label")
            assert np.array_equal(array, original[split][key]) != is_changed, (split, key)
    if corruption != "none":
        other = corrupted(SOURCE, corruption, seed=1).load()["train"]
        assert any(not np.array_equal(other[key], splits["train"][key]) for key in other)


def many_labels():
    label = np.arange(20_000, dtype=np.int32) % NUM_CLASSES
    return {"train": {"features": np.zeros((20_000, 1), np.float32), "label": label}}


def test_labels_are_drawn_anew_with_their_share_and_uniformly():
    many = DataSet("many", SOURCE.class_names, many_labels)
    true = many_labels()["train"]["label"]
    half, fifth = labels("partial_labels", many), labels("partial_labels", many, share=0.2)
    # A tenth of what is drawn anew is the true class.
    assert (half != true).mean() == pytest.approx(0.45, abs=0.015)
    assert (fifth != true).mean() == pytest.approx(0.18, abs=0.015)
    is_changed = fifth != true
    np.testing.assert_array_equal(fifth[is_changed], half[is_changed])
    drawn = labels("random_labels", many)
    assert (drawn == true).mean() == pytest.approx(0.1, abs=0.01)
    assert np.bincount(drawn) == pytest.approx(np.full(NUM_CLASSES, 2000), rel=0.1)
    np.testing.assert_array_equal(labels("partial_labels", many, share=1.0), drawn)
    np.testing.assert_array_equal(labels("partial_labels", many, share=0.0), true)


def test_pixels_are_shuffled_alike_in_all_images_of_both_splits():
    order = pixels("shuffled_pixels")[0, :, 0]
    assert sorted(order) == list(range(NUM_PIXELS)) and (np.diff(order.astype(int)) != 1).any()
    for split, arrays in load().items():
        original = arrays["image"].reshape(-1, NUM_PIXELS, 3)
        np.testing.assert_array_equal(pixels("shuffled_pixels", split), original[:, order])


def test_pixels_are_shuffled_otherwise_in_each_image():
    orders = set()
    for split, arrays in load().items():
        original = arrays["image"].reshape(-1, NUM_PIXELS, 3)
        for image, before in zip(pixels("random_pixels", split), original, strict=True):
            np.testing.assert_array_equal(image[np.argsort(image[:, 0])], before)
            orders.add(tuple(image[:, 0]))
    assert len(orders) == 240


def test_gaussian_pixels_have_the_mean_and_deviation_of_the_training_images():
    rng = np.random.default_rng(0)
    image = rng.normal([90, 128, 160], [20, 30, 10], (100, 12, 12, 3)).round().astype(np.uint8)
    train = {"image": image, "label": np.zeros(100, np.int32)}
    test = {"image": np.zeros_like(image), "label": np.zeros(100, np.int32)}
    source = DataSet("toy", ("a", "b"), lambda: {"train": train, "test": test})
    splits = corrupted(source, "gaussian").load()
    for arrays in splits.values():
        drawn = arrays["image"].reshape(-1, 3).astype(float)
        assert drawn.mean(axis=0) == pytest.approx([90, 128, 160], abs=1.5)
        assert drawn.std(axis=0) == pytest.approx([20, 30, 10], rel=0.05)
    distinct = {i.tobytes() for arrays in splits.values() for i in arrays["image"]}
    assert len(distinct) == 200


def test_gaussian_pixels_do_not_wrap_around():
    white = {"image": np.full((9, 4, 4, 1), 255, np.uint8), "label": np.zeros(9, np.int32)}
    white["image"][0] = 0
    drawn = corrupted(DataSet("white", ("a", "b"), lambda: {"train": white}), "gaussian").load()
    assert np.median(drawn["train"]["image"]) > 200


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"corruption": "random_label"}, "random_label: no such .*did you mean random_labels"),
        ({"share": 1.5}, r"data.share=1.5: must be .* from 0 to 1"),
        ({"seed": -1}, "data.seed=-1: must be"),
        ({"source": "cifar10"}, "data.source: a str, not a data set"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(arguments, text):
    with pytest.raises(ValueError, match=text):
        corrupted(**{"source": SOURCE, **arguments})


def test_what_a_source_lacks_cannot_be_corrupted():
    many = DataSet("many", SOURCE.class_names, many_labels)
    with pytest.raises(ValueError, match="corruption=gaussian: many has no images"):
        corrupted(many, "gaussian").load()
    values = {"features": np.zeros((2, 1)), "label": np.zeros(2, np.float32)}
    with pytest.raises(ValueError, match="corruption=random_labels: values has no class numbers"):
        corrupted(DataSet("values", (), lambda: {"train": values}), "random_labels").load()


# ---- the study

SMALL = [
    *("data.batch_size=32", "model.hidden_units=[64]", "optimizer.learning_rate=0.1"),
    *("duration=30ep", "eval_every=10ep", "precision=float32", "jit=false"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Class folders of images that are easy to tell apart: a colour for each class, and noise."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("images")
    colours = rng.integers(60, 196, (NUM_CLASSES, 3))
    for split, n in (("train", 64), ("test", 40)):
        for k in range(n):
            image = colours[k % NUM_CLASSES] + rng.integers(-20, 21, (8, 8, 3))
            path = root / split / f"class_{k % NUM_CLASSES}" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(path)
    return root


@pytest.fixture
def trained(monkeypatch):
    """The variants that were trained: two of them, in this process and not in others."""
    names = []

    def train(words, run_dir):
        names.append(run_dir.name)
        return entry([*words, f"hydra.run.dir={run_dir}"])

    monkeypatch.setattr(study, "_train", train)
    two = {name: random_labels.TITLES[name] for name in ("random_labels", "none")}
    monkeypatch.setattr(random_labels, "TITLES", two)
    return names


def test_a_study_trains_every_variant_once_and_reports(tmp_path, root, trained, capsys):
    words = [*SMALL, f"data.source.root={root}", f"hydra.run.dir={tmp_path}"]
    assert main(words) == 0
    assert trained == ["random_labels", "none"]
    header, *rows = csv.reader((tmp_path / "table.csv").open())
    assert header == [
        "training data",
        "train accuracy, %",
        "test accuracy, %",
        "steps to 99% of train",
    ]
    assert [row[0] for row in rows] == ["random labels", "true labels"]
    # Both are fitted, and only what has something in it is learned.
    assert [row[1] for row in rows] == ["100.0", "100.0"]
    assert float(rows[0][2]) < 50 < float(rows[1][2])
    assert all(int(row[3]) in (20, 40, 60) for row in rows)
    markdown = (tmp_path / "table.md").read_text().splitlines()
    assert len(markdown) == 4 and markdown[3].startswith("| true labels | 100.0 | ")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

    (tmp_path / "table.csv").unlink()
    assert main(words) == 0
    assert trained == ["random_labels", "none"]
    assert list(csv.reader((tmp_path / "table.csv").open())) == [header, *rows]

    assert main([*words, "seed=1"]) == 2
    assert "begun otherwise (seed: 0 there, 1 here)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{torn", "[]", '{"words": ["seed=0"]}', None])
def test_a_variant_whose_outcome_cannot_be_read_is_not_finished(text, tmp_path):
    if text:
        (tmp_path / study.OUTCOME).write_text(text)
    assert study._finished("none", tmp_path, ["seed=0"]) is None


def exits(monkeypatch, **codes):
    monkeypatch.setattr(study, "_train", lambda words, run_dir: codes[run_dir.name])
    outcome = study.Outcome("", None, {}, {})
    monkeypatch.setattr(study, "_score", lambda *_: outcome)
    reported = []
    monkeypatch.setattr(random_labels, "report", lambda outcomes, _: reported.append(len(outcomes)))
    return reported


@pytest.mark.parametrize(
    ("first", "exit_code", "reported", "text"),
    [
        (1, 1, [1], "failed: random_labels; the same command tries again"),
        (-9, 1, [1], "failed: random_labels; the same command tries again"),
        (2, 2, [], ""),
        (75, 75, [], ""),
    ],
)
def test_how_a_variant_ends_decides_on_the_others(
    first, exit_code, reported, text, trained, tmp_path, monkeypatch, capsys
):
    found = exits(monkeypatch, random_labels=first, none=0)
    assert main([f"hydra.run.dir={tmp_path}"]) == exit_code
    assert found == reported
    assert capsys.readouterr().err.strip() == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data.corruption=none"], "data.corruption=none: the study sets this itself"),
        (["experiment=digits"], "experiment=digits: the study sets this itself"),
        (["data.shar=1"], "did you mean data.share?"),
        (["metrics.accuracy=null", "monitor=val/loss"], "metrics.accuracy: the report of the"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_trained(words, text, trained, capsys):
    assert main(words) == 2
    assert text in capsys.readouterr().err
    assert not trained


def test_help_is_the_text_of_the_study(trained, capsys):
    assert main(["--help"]) == 0
    assert "python -m experiments.random_labels data.source.root=DIR" in capsys.readouterr().out
    assert not trained


def test_a_training_of_its_own_gives_its_exit_code_and_its_line(tmp_path, capfd):
    assert study._train(["lr=1"], tmp_path / "it's") == 2
    assert capfd.readouterr().err.startswith("lr=1: no such setting")


def test_a_signal_to_the_study_alone_stops_the_training(tmp_path, monkeypatch):
    training = tmp_path / "training"
    training.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    training.chmod(0o755)
    monkeypatch.setattr(study, "sys", SimpleNamespace(executable=str(training)))
    monkeypatch.setattr(study, "GRACE_SECS", 0.2)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert study._train([], tmp_path) == 75
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_training_that_outlived_a_killed_study_is_waited_for(tmp_path, capsys):
    study._wait_for_another(tmp_path / "nothing there")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        timer = threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN))
        timer.start()
        started = time.monotonic()
        study._wait_for_another(tmp_path)
        assert time.monotonic() - started > 0.3
        timer.join()
    assert "waiting for a process that trains in" in capsys.readouterr().out


def test_steps_to_a_level_and_averaged_curves():
    assert steps_to(0.99, [10, 20, 30], [0.5, 0.99, 1.0]) == 20
    assert steps_to(0.99, [10, 20], [0.5, 0.98]) is None
    steps, values = averaged(range(1, 1001), np.arange(1000.0))
    assert len(steps) == 100 and steps[:2] == [5.5, 15.5] and values[:2] == [4.5, 14.5]
    assert averaged([1, 2], [3.0, 4.0]) == ([1.0, 2.0], [3.0, 4.0])
