import sys

import numpy as np
import pytest
from layouts import PACKAGES

from trainer.data import tensorflow_datasets as module
from trainer.data.tensorflow_datasets import tensorflow_datasets


@pytest.fixture
def fake(monkeypatch):
    for name, package in PACKAGES.items():
        monkeypatch.setitem(sys.modules, name, package)


def test_splits_are_read_in_order_and_resized(fake):
    data_set = tensorflow_datasets("cats_vs_dogs/small:1.0.0", image_size=[8, 6])
    splits = data_set.load()
    assert data_set.name == "cats_vs_dogs_small" and data_set.class_names == ("cat", "dog")
    assert {split: a["image"].shape for split, a in splits.items()} == {
        "train": (20, 8, 6, 3), "val": (6, 8, 6, 3),
    }  # fmt: skip
    np.testing.assert_array_equal(splits["train"]["image"][:, 3, 3, 1], np.arange(0, 200, 10))
    np.testing.assert_array_equal(splits["train"]["label"], np.arange(20) % 2)
    assert splits["train"]["label"].dtype == np.int32


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"dataset": "no_such_set"},
            r"Datasets 0.0 cannot build it \(Dataset no_such_set not found",
        ),
        ({"image_key": "label"}, "data.image_key=label: x has no such uint8 image; .*image, label"),
        ({"image_key": "picture"}, "data.image_key=picture: x has no such"),
        ({"label_key": "image/filename"}, "data.label_key=image/filename: x has no such class"),
        ({"image_size": None}, r"different sizes; set data.image_size=\[HEIGHT,WIDTH\]"),
        ({"image_size": 8}, r"data.image_size=8: must be \[height, width\]"),
        ({"dataset": "huggingface:mnist"}, "must be a name of the catalogue"),
        ({"dataset": "user:code"}, "must be a name of the catalogue"),
        ({"dataset": "../x"}, "must be a name of the catalogue"),
    ],
)
def test_what_is_wrong_is_named_at_once(fake, arguments, text):
    with pytest.raises(ValueError, match=text) as info:
        tensorflow_datasets(**{"dataset": "x", "image_size": [8, 8]} | arguments)
    assert "\n" not in str(info.value)


def test_a_failed_download_is_one_line_with_both_ways_out(fake):
    data_set = tensorflow_datasets("x", root="/offline", image_size=[8, 8])
    text = (
        r"x: could not be downloaded and prepared \(Max .*; connect to the network, or .*root=DIR"
    )
    with pytest.raises(ConnectionError, match=text):
        data_set.load()


def test_a_set_too_large_for_memory_is_refused(fake, monkeypatch):
    needed = 26 * 8 * 8 * 3
    monkeypatch.setattr(module, "memory_size", lambda: 2 * needed)
    data_set = tensorflow_datasets("x", image_size=[8, 8])
    assert len(data_set.load()["train"]["image"]) == 20
    monkeypatch.setattr(module, "memory_size", lambda: 2 * needed - 1)
    with pytest.raises(ValueError, match=r"26 images of 8x8x3 .* more than half of this machine's"):
        data_set.load()


def test_without_the_package_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(
        ValueError, match=r"data.dataset=mnist: needs .*; pip install tensorflow-data"
    ):
        tensorflow_datasets("mnist")


def test_the_real_package_is_read_as_the_stand_in_is(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets", reason="no dependency, and not installed")

    class TinyImages(tfds.core.GeneratorBasedBuilder):
        pkg_dir_path = tmp_path  # where the catalogue has a description
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(20), "validation": self._generate_examples(6)}

        def _generate_examples(self, count):
            for k in range(count):
                side = 8 + 2 * (k % 2)
                yield k, {"image": np.full((side, side, 3), 10 * k, np.uint8), "label": k % 2}

    data_set = tensorflow_datasets("tiny_images", root=str(tmp_path), image_size=[8, 8])
    splits = data_set.load()
    assert data_set.class_names == ("cat", "dog") and list(splits) == ["train", "val"]
    levels = splits["train"]["image"][:, 3, 3, 1]
    assert sorted(levels) == list(range(0, 200, 10))  # the package shuffles once, as it writes
    np.testing.assert_array_equal(splits["train"]["label"], levels // 10 % 2)
    again = tensorflow_datasets("tiny_images", root=str(tmp_path), image_size=[8, 8]).load()
    np.testing.assert_array_equal(again["train"]["image"], splits["train"]["image"])
    with pytest.raises(ValueError, match=r"cannot build it"):
        tensorflow_datasets("no_such_set_at_all", image_size=[8, 8])
