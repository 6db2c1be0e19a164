import numpy as np
import pytest

from trainer.data.toy_table import toy_table


def test_toy_table_has_every_row_and_counts_its_features():
    splits = toy_table(num_repeats=5).load()
    assert len(splits["train"]["label"]) == 40 and len(splits["test"]["label"]) == 8
    for arrays in splits.values():
        assert arrays["features"].dtype == arrays["label"].dtype == np.float32
        for features, (any_, at_least_two) in zip(*arrays.values(), strict=True):
            assert any_ == (1 in features) and at_least_two == (list(features).count(1) >= 2)
    rows, counts = np.unique(splits["train"]["features"], axis=0, return_counts=True)
    assert rows.shape == (8, 3) and set(counts) == {5}


def test_toy_table_is_shuffled_by_its_seed():
    first, again, other = (toy_table(4, seed).load()["train"]["features"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_toy_table_refuses_no_repeats():
    with pytest.raises(ValueError, match=r"data.num_repeats=0: must be at least 1"):
        toy_table(0)
