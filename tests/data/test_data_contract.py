"""Every data set under conf/data holds the contract; a new file is covered by being there."""

import sys
from dataclasses import fields
from pathlib import Path

import layouts
import numpy as np
import pytest
import yaml

from trainer import targets
from trainer.data.dataset import DataSet, check_arrays
from trainer.data.splits import hold_out, limit
from trainer.data.statistics import channel_statistics
from trainer.settings import DataSettings

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
FILES = sorted(CONF.glob("*.yaml"))

# What the framework reads itself; the rest goes to the function.
FRAMEWORK_KEYS = {field.name for field in fields(DataSettings)}


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def config(request, tmp_path, monkeypatch):
    config = yaml.safe_load(request.param.read_text())
    for name, package in layouts.PACKAGES.items():
        monkeypatch.setitem(sys.modules, name, package)
    if request.param.stem in layouts.LAYOUTS:
        config |= layouts.LAYOUTS[request.param.stem](tmp_path)
    else:
        with_root = [node for _, node in targets.nodes(config) if "root" in node]
        given = layouts.class_folders(tmp_path) if with_root else {}
        for node in with_root:
            node.update(given)
    if "???" in config.values():
        pytest.skip("needs files: write an entry for it in tests/data/layouts.py")
    return config


def build(config):
    return targets.instantiate({k: v for k, v in config.items() if k not in FRAMEWORK_KEYS})


def test_conf_data_has_files():
    assert FILES


def test_data_set_holds_the_contract(config):
    data_set = build(config)
    assert isinstance(data_set, DataSet)
    assert data_set.name and all(isinstance(name, str) for name in data_set.class_names)
    splits = data_set.load()
    check_arrays(data_set, splits)
    labels = {k: a for k, a in splits["train"].items() if k == "label" or k.startswith("label/")}
    classes = [label for label in labels.values() if label.dtype == np.int32]
    assert labels and len(classes) <= 1
    for label in classes:
        assert set(label) == set(range(len(data_set.class_names))) >= {0, 1}
    if not classes:
        assert labels.keys() == {"label"} and labels["label"].ndim == 2
        assert labels["label"].shape[1] == len(data_set.class_names)
        assert (labels["label"].std(axis=0) > 0).all()


def test_data_set_loads_the_same_arrays_every_time(config):
    data_set = build(config)
    first, again = data_set.load(), build(config).load()
    assert list(first) == list(again)
    for split in first:
        for key in first[split]:
            np.testing.assert_array_equal(first[split][key], again[split][key])


def test_data_set_goes_through_its_own_settings(config):
    settings = DataSettings(**{key: config[key] for key in FRAMEWORK_KEYS & config.keys()})
    splits, note = hold_out(build(config).load(), settings.validation, settings.split_seed)
    assert {"train", "val"} <= set(splits) and note.startswith("val is ")
    train = limit(splits["train"], 8)
    assert {len(array) for array in train.values()} == {8}
    if "image" in train:
        mean, std = channel_statistics(train["image"])
        assert (std > 0).all() and ((mean >= 0) & (mean <= 1)).all()
    assert isinstance(settings.batch_size, int) and settings.limit is None
    assert settings.feed == "auto"


def arrays(**changes):
    split = {"image": np.zeros((4, 2, 2, 1), np.uint8), "label": np.array([0, 1, 1, 0], np.int32)}
    return {**split, **changes}


@pytest.mark.parametrize(
    ("splits", "text"),
    [
        ({"test": arrays()}, r"toy: no train split; load\(\) returned test"),
        ({"train": arrays(), "dev": arrays()}, "unknown split 'dev'; the names are train, val"),
        ({"train": {"image": arrays()["image"]}}, "train split: no label array; .* image"),
        ({"train": arrays(label=np.zeros(4, np.int64))}, r"label must be int32 \[N\], .* int64"),
        ({"train": arrays(label=np.zeros((4, 1), np.int32))}, r"received int32 \[4, 1\]"),
        ({"train": arrays(label=np.full(4, np.nan, np.float32))}, "label: some are not finite"),
        ({"train": arrays(**{"label/a": np.zeros(4, np.float32)})}, "either label or label/NAME"),
        ({"train": arrays(weight=np.zeros(4))}, r"weight must be float32 \[N\]; .* float64"),
        ({"train": arrays(weight=-np.ones(4, np.float32))}, "weight: some are below 0"),
        ({"train": arrays(label=np.zeros(3, np.int32))}, "arrays of unequal length"),
        ({"train": {k: v[:0] for k, v in arrays().items()}}, "train split: no examples"),
        ({"train": arrays(label=np.array([0, 1, 2, 0], np.int32))}, r"lie in \[0, 1\]"),
        (
            {"train": arrays(label=np.array([0, -1, 1, 0], np.int32))},
            "classes run from -1 to 1",
        ),
        ({"train": arrays(image=np.zeros((4, 2, 2, 1)))}, r"uint8 \[N, H, W, C\]; .*float64"),
        ({"train": arrays(image=np.zeros((4, 2, 2), np.uint8))}, r"received uint8 \[4, 2, 2\]"),
        (
            {"train": arrays(), "test": arrays(image=np.zeros((4, 3, 2, 1), np.uint8))},
            "the test split holds .* must be the same",
        ),
        ({"train": arrays(), "val": arrays(extra=np.zeros(4))}, "the val split holds .*extra"),
    ],
)
def test_check_arrays_names_what_is_wrong(splits, text):
    with pytest.raises(ValueError, match=text):
        check_arrays(DataSet("toy", ("a", "b"), lambda: splits), splits)


def test_check_arrays_allows_other_keys_beside_images():
    splits = {"train": {"tokens": np.zeros((3, 7)), "label": np.array([0, 1, 0], np.int32)}}
    check_arrays(DataSet("toy", ("a", "b"), lambda: splits), splits)


@pytest.mark.parametrize(
    "labels",
    [
        {"label": np.zeros((4, 2), np.float32)},
        {"label": np.zeros(4, np.float32), "weight": np.ones(4, np.float32)},
        {"label/class": np.array([0, 1, 1, 0], np.int32), "label/value": np.ones((4, 1), "f4")},
    ],
)
def test_check_arrays_allows_other_labels_than_class_numbers(labels):
    splits = {"train": {"features": np.zeros((4, 3), np.float32), **labels}}
    check_arrays(DataSet("toy", ("a", "b"), lambda: splits), splits)
