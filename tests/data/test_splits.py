import numpy as np
import pytest

from trainer.data.splits import TEST_NOTE, hold_out, limit


def make_split(labels, start=0):
    label = np.asarray(labels, np.int32)
    return {"image": np.arange(start, start + len(label)), "label": label}


def random_split(counts, seed=0):
    labels = np.repeat(np.arange(len(counts)), counts)
    return make_split(np.random.default_rng(seed).permutation(labels))


def test_limit_keeps_the_first_of_each_class_in_order():
    kept = limit(make_split([0, 0, 0, 1, 1, 0, 1, 1]), 4)
    np.testing.assert_array_equal(kept["image"], [0, 1, 3, 4])
    np.testing.assert_array_equal(kept["label"], [0, 0, 1, 1])


@pytest.mark.parametrize("n", [1, 3, 10, 37, 99, 100])
def test_limit_gives_every_class_its_share_to_within_one(n):
    counts = np.array([50, 30, 15, 5])
    kept = limit(random_split(counts), n)
    assert len(kept["label"]) == n
    share = n * counts / counts.sum()
    assert (np.abs(np.bincount(kept["label"], minlength=4) - share) < 1).all()
    assert (np.diff(kept["image"]) > 0).all()


def test_limit_gives_the_lower_label_the_odd_example():
    assert list(limit(random_split([10, 10, 10]), 4)["label"]).count(0) == 2


def test_limit_beyond_the_split_gives_all():
    split = random_split([4, 4])
    assert limit(split, 100) is split


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "10"])
def test_limit_refuses_other_values(n):
    with pytest.raises(ValueError, match=f"data.limit={n}: must be a whole number of at least 1"):
        limit(random_split([4, 4]), n)


def three_splits():
    return {
        "train": random_split([60, 40]),
        "val": make_split([0, 1], 1000),
        "test": make_split([1, 0, 1], 2000),
    }


def test_hold_out_auto_prefers_val_then_test_then_a_tenth_of_train():
    splits = three_splits()
    out, note = hold_out(splits, "auto", 0)
    assert out["val"] is splits["val"] and out["test"] is splits["test"]
    assert note == "val is the data set's own split"

    del splits["val"]
    out, note = hold_out(splits, "auto", 0)
    assert out["val"] is splits["test"] and out["test"] is splits["test"]
    assert out["train"] is splits["train"]
    assert note == TEST_NOTE

    out, note = hold_out({"train": splits["train"]}, "auto", 3)
    assert list(out) == ["train", "val"]
    assert note == "val is 0.1 of train, held out with split_seed=3"


def test_hold_out_test_says_that_an_own_val_split_is_not_used():
    out, note = hold_out(three_splits(), "test", 0)
    assert len(out["val"]["label"]) == 3
    assert note == f"{TEST_NOTE}; the data set's own val split is not used"


def test_hold_out_share_divides_train_stratified_and_in_order():
    splits = {"train": random_split([60, 40]), "test": make_split([0, 1], 2000)}
    out, _ = hold_out(splits, 0.2, 0)
    train, val = out["train"], out["val"]
    np.testing.assert_array_equal(np.bincount(val["label"]), [12, 8])
    np.testing.assert_array_equal(np.bincount(train["label"]), [48, 32])
    assert sorted([*train["image"], *val["image"]]) == list(range(100))
    for part in (train, val):
        assert (np.diff(part["image"]) > 0).all()
        np.testing.assert_array_equal(part["label"], splits["train"]["label"][part["image"]])
    assert out["test"] is splits["test"]
    assert len(splits["train"]["label"]) == 100  # the caller's arrays are left alone


def test_hold_out_depends_on_the_split_seed_alone():
    splits = {"train": random_split([60, 40])}
    first, again, other = (hold_out(splits, 0.2, seed)[0]["val"]["image"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("validation", [0, 1, 0.0, 1.0, -0.1, 20, "tset", "0.1", True, None])
def test_hold_out_refuses_other_values(validation):
    with pytest.raises(ValueError, match=f"data.validation={validation}: must be auto, test, or"):
        hold_out({"train": random_split([60, 40])}, validation, 0)


def test_hold_out_test_needs_a_test_split():
    with pytest.raises(
        ValueError, match=r"data.validation=test: .* no test split \(it has train\)"
    ):
        hold_out({"train": random_split([6, 4])}, "test", 0)


def test_hold_out_names_a_class_too_small_to_divide():
    with pytest.raises(ValueError, match=r"=0\.5: class 1 has a single training example"):
        hold_out({"train": make_split([0, 0, 0, 1, 2, 2])}, 0.5, 0)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_hold_out_names_a_share_too_small_for_the_classes(share):
    with pytest.raises(ValueError, match=f"data.validation={share}: splits 20 examples into"):
        hold_out({"train": random_split([10, 10])}, share, 0)


def values_split(num_examples):
    return {"features": np.arange(num_examples), "label": np.ones((num_examples, 2), np.float32)}


def test_without_classes_limit_keeps_the_first():
    np.testing.assert_array_equal(limit(values_split(9), 4)["features"], [0, 1, 2, 3])


def test_without_classes_a_share_is_held_out_at_random():
    out, _ = hold_out({"train": values_split(20)}, 0.25, 0)
    other, _ = hold_out({"train": values_split(20)}, 0.25, 1)
    train, val = out["train"]["features"], out["val"]["features"]
    assert len(val) == 5 and sorted([*train, *val]) == list(range(20))
    assert list(other["val"]["features"]) != list(val)


def test_a_test_split_is_held_out_before_validation_is():
    splits = {"train": random_split([60, 40])}
    out, note = hold_out(splits, 0.2, 0, test=0.1)
    assert {split: len(arrays["label"]) for split, arrays in out.items()} == {
        "train": 72, "val": 18, "test": 10,
    }  # fmt: skip
    np.testing.assert_array_equal(np.bincount(out["test"]["label"]), [6, 4])
    together = np.concatenate([arrays["image"] for arrays in out.values()])
    assert sorted(together) == list(range(100))
    assert note.endswith("; test is 0.1 of train, held out before")


def test_a_test_split_held_out_here_is_not_what_auto_chooses_weights_on():
    out, _ = hold_out({"train": random_split([60, 40])}, "auto", 0, test=0.1)
    assert len(out["val"]["label"]) == 9
    assert not set(out["val"]["image"]) & set(out["test"]["image"])


def test_two_test_splits_are_refused():
    with pytest.raises(ValueError, match=r"data.test=0.1: the data set has a test split"):
        hold_out(three_splits(), "auto", 0, test=0.1)
