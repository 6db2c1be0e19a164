import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from trainer.data.dataset import check_arrays
from trainer.data.synthetic import synthetic


@pytest.mark.parametrize("shape", [[8, 8, 1], [32, 32, 3], [3, 5, 2]])
def test_synthetic_holds_the_contract_with_balanced_classes(shape):
    data_set = synthetic(50, shape, 4)
    splits = data_set.load()
    check_arrays(data_set, splits)
    assert splits["train"]["image"].shape == (50, *shape)
    assert splits["test"]["image"].shape == (12, *shape)
    assert set(np.bincount(splits["train"]["label"])) == {12, 13}


def test_synthetic_class_signal_carries_over_to_test():
    splits = synthetic(200, [16, 16, 3], 10).load()
    train, test = splits["train"], splits["test"]
    model = NearestCentroid().fit(train["image"].reshape(200, -1), train["label"])
    assert model.score(test["image"].reshape(len(test["label"]), -1), test["label"]) > 0.95


def test_synthetic_depends_on_the_seed_alone():
    first, again, other = (synthetic(20, [4, 4, 1], 2, seed=s).load()["train"] for s in (0, 0, 1))
    np.testing.assert_array_equal(first["image"], again["image"])
    np.testing.assert_array_equal(first["label"], again["label"])
    assert (first["image"] != other["image"]).any()


def test_synthetic_has_every_class_in_a_test_split_of_few_examples():
    assert set(synthetic(10, [4, 4, 1], 10).load()["test"]["label"]) == set(range(10))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((5, [8, 8, 1], 10), "data.num_examples=5: must be at least data.num_classes=10"),
        ((5, [8, 8, 1], 1), "data.num_classes=1: must be at least 2"),
        ((5, [8, 8], 2), r"data.image_shape=\[8, 8\]: must be \[height, width, channels\]"),
        ((5, [8, 0, 1], 2), r"data.image_shape=\[8, 0, 1\]"),
    ],
)
def test_synthetic_names_a_bad_argument(arguments, text):
    with pytest.raises(ValueError, match=text):
        synthetic(*arguments)
