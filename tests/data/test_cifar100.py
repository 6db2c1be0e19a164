import pickle

import keras
import numpy as np
import pytest
from layouts import cifar100 as written
from layouts import class_folders

from trainer.data.cifar100 import CLASS_NAMES, cifar100


@pytest.mark.parametrize(("labels", "num_classes"), [("fine", 100), ("coarse", 20)])
@pytest.mark.parametrize("at_root", ["parent", "itself", "renamed"])
def test_cifar100_reads_the_official_files(tmp_path, labels, num_classes, at_root):
    written(tmp_path)
    folder = tmp_path / "cifar-100-python"
    examples = pickle.loads((folder / "train").read_bytes())
    if at_root == "renamed":
        folder = folder.rename(tmp_path / "cifar")
    data_set = cifar100(str(tmp_path if at_root == "parent" else folder), labels)
    train = data_set.load()["train"]
    assert data_set.class_names == tuple(f"{labels}_{k}" for k in range(num_classes))
    np.testing.assert_array_equal(train["label"], examples[f"{labels}_labels".encode()])
    green = examples[b"data"][7][1024:2048].reshape(32, 32)  # planes: red, green, blue
    np.testing.assert_array_equal(train["image"][7, :, :, 1], green)
    assert train["image"].flags.c_contiguous


def test_cifar100_names_its_classes_without_a_network():
    assert [len(set(names)) for names in CLASS_NAMES.values()] == [100, 20]
    assert all(list(names) == sorted(names) for names in CLASS_NAMES.values())
    assert cifar100().class_names[0] == "apple" and cifar100().class_names[99] == "worm"


@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_cifar100_without_root_is_downloaded_by_keras(monkeypatch, labels):
    asked = []
    image = np.arange(2 * 3072, dtype=np.uint32).reshape(2, 32, 32, 3).astype(np.uint8)

    def load_data(label_mode):
        asked.append(label_mode)
        return (image, np.array([[3], [1]])), (image, np.array([[0], [1]]))

    monkeypatch.setattr(keras.datasets.cifar100, "load_data", load_data)
    splits = cifar100(labels=labels).load()
    assert asked == [labels] and splits["train"]["label"].dtype == np.int32
    np.testing.assert_array_equal(splits["train"]["label"], [3, 1])
    np.testing.assert_array_equal(splits["test"]["image"], image)


def test_cifar100_of_class_folders(tmp_path):
    data_set = cifar100(**class_folders(tmp_path))
    assert data_set.name == "cifar100" and data_set.class_names == ("a", "b")
    with pytest.raises(ValueError, match=r"data.labels=coarse: only cifar-100-python/ tells"):
        cifar100(str(tmp_path), "coarse")


def test_cifar100_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"no cifar-100-python/, and no class folders"):
        cifar100(str(tmp_path))
    with pytest.raises(ValueError, match=r"data.labels=medium: must be fine .* or coarse"):
        cifar100(labels="medium")
    written(tmp_path)
    (tmp_path / "cifar-100-python" / "test").unlink()
    with pytest.raises(ValueError, match=r"cifar-100-python: test missing; unpack cifar-100"):
        cifar100(str(tmp_path))
    (tmp_path / "cifar-100-python" / "test").write_bytes(pickle.dumps({b"labels": print}))
    with pytest.raises(ValueError, match=r"test: cannot be read as .*it asks for .*print"):
        cifar100(str(tmp_path)).load()
