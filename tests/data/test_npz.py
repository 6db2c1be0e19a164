import pickle

import numpy as np
import pytest
from layouts import random_images

from trainer.data.npz import npz


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return str(tmp_path / "set.npz")


IMAGES = random_images(4, 5, 6, 3)


@pytest.mark.parametrize(
    ("arrays", "layout"),
    [
        ({"x_train": IMAGES, "y_train": np.array([[0], [2], [1], [2]])},
         {"image": ("uint8", (4, 5, 6, 3)), "label": ("int32", (4,))}),
        ({"image": IMAGES[..., 0], "label": np.array([0, 1, 1, 2], np.uint8)},
         {"image": ("uint8", (4, 5, 6, 1)), "label": ("int32", (4,))}),
        ({"x": np.ones((4, 7)), "y": np.arange(4) % 2 == 0, "weight": np.ones(4)},
         {"features": ("float32", (4, 7)), "label": ("int32", (4,)), "weight": ("float32", (4,))}),
        ({"x": np.ones((4, 7), np.int64), "y": np.eye(4, 3, dtype=np.int64)},
         {"features": ("float32", (4, 7)), "label": ("float32", (4, 3))}),
        ({"features": IMAGES, "label": np.linspace(0, 1, 4)},
         {"features": ("float32", (4, 5, 6, 3)), "label": ("float32", (4, 1))}),
    ],
)  # fmt: skip
def test_arrays_get_the_names_and_types_of_the_contract(tmp_path, arrays, layout):
    train = npz(saved(tmp_path, **arrays)).load()["train"]
    assert {key: (str(a.dtype), a.shape) for key, a in train.items()} == layout


def test_splits_values_and_names(tmp_path):
    labels = {"y_train": [0, 1, 4, 0], "y_val": [5, 0, 0, 1], "y_test": [1, 1, 1, 1]}
    images = {key.replace("y", "x"): IMAGES + k for k, key in enumerate(labels)}
    file = saved(tmp_path, **images, **labels, x_extra=np.ones(3), notes=np.array("text"))
    data_set = npz(file)
    splits = data_set.load()
    assert data_set.name == "set" and data_set.class_names == tuple("012345")
    assert list(splits) == ["train", "val", "test"]
    np.testing.assert_array_equal(splits["val"]["image"], IMAGES + 1)
    np.testing.assert_array_equal(splits["val"]["label"], labels["y_val"])


@pytest.mark.parametrize(
    ("label", "given", "names"),
    [
        ([0, 1, 1, 0], ["cat", "dog"], ("cat", "dog")),
        (np.eye(4, 3, dtype=int), None, ("0", "1", "2")),
        (np.eye(4, 3), None, ("0", "1", "2")),
        (np.eye(4, 3), ["a", "b", "c"], ("a", "b", "c")),
        (np.linspace(0, 1, 4), None, ("0",)),
    ],
)
def test_class_names_are_given_or_numbers(tmp_path, label, given, names):
    assert npz(saved(tmp_path, x=IMAGES, y=label), given).class_names == names


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"x_test": IMAGES, "y_test": [0, 1, 0, 1]}, "no inputs and labels for train .*y_test"),
        ({"x_train": IMAGES}, r"for train \(found: x_train\); expected x_train, y_train"),
        ({"x": IMAGES, "y": [0, 1, 0, 1], "y_val": [0]}, "for val"),
        ({"x": IMAGES / 255, "y": [0, 1, 0, 1]}, r"x is float64 .*must be uint8 .*255 \* image"),
        ({"image": np.ones((4, 9), np.uint8), "label": [0, 1, 0, 1]}, "image is uint8 .*must be"),
        ({"x": IMAGES, "y": [[0, 2]] * 4}, r"labels are int64 \[4, 2\]; expected class numbers"),
        ({"x": IMAGES, "y": ["cat"] * 4}, "y is <U3; only numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arrays, text):
    with pytest.raises(ValueError, match=text):
        npz(saved(tmp_path, **arrays)).load()


class Opener:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("as_array", [True, False])
def test_no_pickle_is_run(tmp_path, as_array):
    flag = tmp_path / "was_here"
    file = tmp_path / "set.npz"
    if as_array:
        np.savez(file, x=IMAGES, y=np.array([Opener(str(flag))], dtype=object))
    else:
        file.write_bytes(pickle.dumps(Opener(str(flag))))
    with pytest.raises(ValueError, match=r"set.npz: cannot be read as .npz \(ValueError"):
        npz(str(file))
    assert not flag.exists()


def test_damaged_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.npz: cannot be read as .npz \(FileNotFound"):
        npz(str(tmp_path / "none.npz"))
    file = tmp_path / "set.npz"
    saved(tmp_path, x=IMAGES, y=[0, 1, 0, 1])
    whole = file.read_bytes()
    for contents in (b"", b"text", whole[:-30], whole[:120] + b"damage" + whole[126:]):
        file.write_bytes(contents)
        with pytest.raises(ValueError, match=r"set.npz: cannot be read as .npz"):
            npz(str(file)).load()
