import numpy as np
import pytest
from PIL import Image

from trainer.data.class_distribution import class_distribution, plot_class_distribution


def labelled(**counts):
    """Splits whose class k has the k-th of these numbers of examples."""
    return {
        split: {"label": np.repeat(np.arange(len(of_split), dtype=np.int32), of_split)[::-1]}
        for split, of_split in counts.items()
    }


def names(number):
    return [f"c{k}" for k in range(number)]


def test_counts_of_classes_include_those_without_examples():
    found = class_distribution(labelled(train=[3, 0, 2], val=[1, 0, 0]), names(4))
    assert {split: list(counts) for split, counts in found.counts.items()} == {
        "train": [3, 0, 2, 0], "val": [1, 0, 0, 0],
    }  # fmt: skip
    assert found.exclusive and found.class_names == ("c0", "c1", "c2", "c3")


def test_yes_no_labels_count_where_they_are_yes():
    label = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    found = class_distribution({"train": {"label": label}}, ["any", "both"])
    assert list(found.counts["train"]) == [2, 1] and not found.exclusive
    assert found.in_words().splitlines()[0].split() == ["yes/no", "labels", "train"]


def test_of_several_targets_the_classes_count():
    arrays = {
        "label/value": np.ones((3, 2), np.float32),
        "label/kind": np.array([0, 1, 1], "int32"),
    }
    found = class_distribution({"train": arrays}, names(2))
    assert list(found.counts["train"]) == [1, 2]


@pytest.mark.parametrize("label", [np.ones(3, np.float32), np.full((3, 2), 0.5, np.float32)])
def test_values_have_no_distribution(label):
    assert class_distribution({"train": {"label": label}}, ()) is None
    assert class_distribution({"train": {"label": label}}, names(2)) is None


def test_equal_classes_are_one_line():
    found = class_distribution(labelled(train=[4500] * 10, val=[500] * 10), names(10))
    assert found.in_words() == "classes: 10, each with 4,500 in train, 500 in val"
    assert found.warning() is None


def test_a_few_unequal_classes_are_a_table():
    found = class_distribution(labelled(train=[1200, 7], test=[3, 3]), ["cat", "elephant"])
    assert found.in_words().splitlines() == [
        "classes   train  test",
        "cat       1,200     3",
        "elephant      7     3",
    ]


def test_many_unequal_classes_are_told_by_their_extremes():
    counts = [10] * 30
    counts[3], counts[4] = 2, 2000
    assert class_distribution(labelled(train=counts, val=[1] * 30), names(30)).in_words() == (
        "classes: 30, each with 2 to 2,000 in train (median 10), 1 to 1 in val (median 1); in "
        "train c3 has fewest, c4 most"
    )


def test_skewed_classes_are_warned_of_beyond_five_times():
    assert class_distribution(labelled(train=[10, 50, 20]), names(3)).warning() is None
    text = class_distribution(labelled(train=[10, 51, 20]), names(3)).warning()
    assert text.startswith("skewed classes: 51 training examples of c1, but 10 of c0;")
    assert "data.class_weight=balanced" in text and "\n" not in text
    only_test = class_distribution(labelled(train=[5, 5], test=[1, 50]), names(2))
    assert only_test.warning() is None


def test_classes_without_training_examples_are_named():
    text = class_distribution(labelled(train=[10, 0, 0, 4]), names(4)).warning()
    assert text.startswith("2 of 4 classes have no training example: c1, c2;")
    many = class_distribution(labelled(train=[1]), names(100)).warning()
    assert "c20, ...;" in many and "c21" not in many


def test_yes_no_labels_are_warned_of_only_where_never_yes():
    label = np.zeros((20, 2), np.float32)
    label[:, 0], label[0, 1] = 1, 1
    assert class_distribution({"train": {"label": label}}, names(2)).warning() is None
    label[0, 1] = 0
    text = class_distribution({"train": {"label": label}}, names(2)).warning()
    assert text.startswith("1 of 2 labels are never yes: c1")


@pytest.mark.parametrize("number", [2, 60, 1000])
def test_the_picture_shows_the_counts(tmp_path, number):
    pictures = []
    for first in (1, 30):
        splits = labelled(train=[first] + [20] * (number - 1), val=[1] * number)
        path = tmp_path / "report" / f"{first}.png"
        plot_class_distribution(class_distribution(splits, ["$x_$"] * number), path)
        pictures.append(np.asarray(Image.open(path).convert("L")))
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).any()
    assert pictures[0].shape[1] == 8 * 120  # 2 inches of names, 3 for each split
    assert max(pictures[0].shape) < 2500
