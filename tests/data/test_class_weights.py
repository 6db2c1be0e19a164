"""What an example counts by its class."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from trainer.data.class_weights import weighted

NAMES = ("cat", "dog", "eel")
LABEL = np.array([0, 0, 0, 1, 1, 2], np.int32)


def test_numbers_by_name_and_in_order():
    by_name = weighted({"label": LABEL}, {"dog": 2.0, "eel": 0}, NAMES)
    in_order = weighted({"label": LABEL}, [1, 2.0, 0], NAMES)
    for arrays in (by_name, in_order):
        np.testing.assert_array_equal(arrays["weight"], [1, 1, 1, 2, 2, 0])
        assert arrays["weight"].dtype == np.float32


def test_balanced_classes_weigh_the_same():
    weight = weighted({"label": LABEL}, "balanced", NAMES)["weight"]
    np.testing.assert_allclose(weight, compute_sample_weight("balanced", LABEL), rtol=1e-6)
    np.testing.assert_allclose(np.bincount(LABEL, weights=weight), [2, 2, 2], rtol=1e-6)


def test_balanced_takes_a_class_without_examples():
    weight = weighted({"label": LABEL}, "balanced", (*NAMES, "fox"))["weight"]
    np.testing.assert_allclose(weight, compute_sample_weight("balanced", LABEL), rtol=1e-6)


def test_weights_of_the_examples_are_kept():
    own = np.array([1, 0, 2, 1, 1, 1], np.float32)
    arrays = weighted({"label": LABEL, "weight": own}, {"cat": 3}, NAMES)
    np.testing.assert_array_equal(arrays["weight"], [3, 0, 6, 1, 1, 1])


def test_a_digit_is_a_name_though_yaml_reads_a_number():
    arrays = weighted({"label": LABEL}, {1: 5}, ("0", "1", "2"))
    np.testing.assert_array_equal(arrays["weight"], [1, 1, 1, 5, 5, 1])


@pytest.mark.parametrize(
    ("class_weight", "text"),
    [
        ({"dig": 1}, "data.class_weight.dig=1: no such class; did you mean dog"),
        ([1, 2], r"data.class_weight=\[1, 2\]: balanced, 3 numbers, or numbers by class name"),
        ({"cat": -1}, "-1 is not a number of at least 0"),
        ([1, 1, float("nan")], "nan is not a number of at least 0"),
        ([1, 1, True], "True is not a number"),
    ],
)
def test_refusals(class_weight, text):
    with pytest.raises(ValueError, match=text):
        weighted({"label": LABEL}, class_weight, NAMES)


def test_values_have_no_classes():
    with pytest.raises(ValueError, match="the labels are no class numbers"):
        weighted({"label": np.zeros(3, np.float32)}, "balanced", NAMES)
