import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid

from trainer.data.two_inputs import two_inputs


@pytest.fixture(scope="module")
def splits():
    return two_inputs(num_examples=600, image_shape=[8, 8, 3]).load()


def test_two_inputs_have_two_targets(splits):
    layout = {key: (str(a.dtype), a.shape) for key, a in splits["train"].items()}
    assert layout == {
        "image": ("uint8", (600, 8, 8, 3)),
        "features": ("float32", (600, 4)),
        "label/class": ("int32", (600,)),
        "label/value": ("float32", (600, 1)),
    }
    assert len(splits["test"]["image"]) == 150
    assert 0.7 < splits["train"]["label/value"].std() < 1.3


def test_the_image_tells_the_class_and_both_the_value(splits):
    pixels = {
        split: arrays["image"].reshape(len(arrays["image"]), -1) for split, arrays in splits.items()
    }
    classes = NearestCentroid().fit(pixels["train"], splits["train"]["label/class"])
    assert classes.score(pixels["test"], splits["test"]["label/class"]) > 0.95

    def explained(columns):
        of = {s: np.hstack([c[s] for c in columns]) for s in ("train", "test")}
        model = Ridge(10).fit(of["train"], splits["train"]["label/value"])
        return model.score(of["test"], splits["test"]["label/value"])

    scaled = {split: p / 255 for split, p in pixels.items()}
    features = {split: arrays["features"] for split, arrays in splits.items()}
    assert explained([features]) < 0.65 and explained([scaled]) < 0.65
    assert explained([scaled, features]) > 0.9


def test_two_inputs_depend_on_the_seed_alone():
    first, again, other = (two_inputs(12, [4, 4, 1], seed=s).load()["train"] for s in (0, 0, 1))
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
        assert (first[key] != other[key]).any()


def test_two_inputs_refuse_no_features():
    with pytest.raises(ValueError, match=r"data.num_features=0: must be at least 1"):
        two_inputs(num_features=0)
