import numpy as np
import pytest
from layouts import image_table as write_table
from layouts import random_images, written
from PIL import Image

from trainer.data.data import Data
from trainer.data.dataset import ArrayOnDisk, UnreadableExamplesError
from trainer.data.image_table import image_table
from trainer.data.placement import read_into_memory


def test_images_weights_and_splits_are_those_of_the_rows(tmp_path):
    data_set = image_table(**write_table(tmp_path))
    splits = data_set.load()
    assert data_set.name == "images" and data_set.class_names == ("cat", "dog")
    assert all(isinstance(arrays["image"], ArrayOnDisk) for arrays in splits.values())
    splits = read_into_memory(splits)
    np.testing.assert_array_equal(splits["train"]["image"], random_images(20, 8, 8, 3))
    np.testing.assert_array_equal(splits["test"]["image"], random_images(4, 8, 8, 3))
    np.testing.assert_array_equal(splits["train"]["label"], (np.arange(20) + 1) % 2)
    np.testing.assert_array_equal(splits["test"]["weight"], [1, 2, 3, 1])
    assert splits["test"]["weight"].dtype == np.float32


def test_streamed_batches_are_those_of_memory(tmp_path):
    splits = image_table(**write_table(tmp_path)).load()
    streamed, resident = (
        Data(splits["train"], batch_size=4, feed=feed).example_batch()
        for feed in ("streamed", "resident")
    )
    assert streamed.keys() == resident.keys() == {"image", "label", "weight"}
    for key, tensor in streamed.items():
        np.testing.assert_array_equal(tensor, resident[key])


@pytest.fixture
def rows(tmp_path):
    """Four images in a folder of their own, as rows."""
    (tmp_path / "pictures").mkdir()
    for k, pixels in enumerate(random_images(4, 6, 5, 3)):
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{k}.png")
    return [{"file": f"{k}.png", "label": k % 2, "age": 0.5 * k} for k in range(4)]


class DataFrame:
    """The part of a pandas data frame that is used."""

    def __init__(self, rows):
        self.columns = list(rows[0])
        self._rows = rows

    def itertuples(self, index, name):
        assert not index and name is None
        return (tuple(row.values()) for row in self._rows)


@pytest.mark.parametrize("kind", ["rows", "frame", "csv"])
def test_rows_and_data_frames_are_read_as_files_are(tmp_path, rows, kind):
    csv_rows = [rows[0].keys(), *(row.values() for row in rows)]
    table = {"rows": rows, "frame": DataFrame(rows), "csv": written(tmp_path / "x.csv", csv_rows)}
    data_set = image_table(table[kind], str(tmp_path / "pictures"))
    train = data_set.load()["train"]
    assert data_set.class_names == ("0", "1") and "weight" not in train
    np.testing.assert_array_equal(np.asarray(train["image"]), random_images(4, 6, 5, 3))
    np.testing.assert_array_equal(train["label"], [0, 1, 0, 1])


def test_file_names_may_be_absolute_and_values_regressed(tmp_path, rows):
    for row in rows:
        row["file"] = str(tmp_path / "pictures" / row["file"])
    data_set = image_table(rows, label_column="age", image_size=[4, 4])
    train = data_set.load()["train"]
    assert data_set.class_names == ("age",) and train["image"].shape == (4, 4, 4, 3)
    np.testing.assert_array_equal(train["label"], [[0], [0.5], [1], [1.5]])


def test_missing_files_are_named_at_once(tmp_path, rows):
    text = r"the table: 4 of 4 files do not exist in nowhere: 0.png, 1.png.*; set data.root to the"
    with pytest.raises(ValueError, match=text):
        image_table(rows, "nowhere")
    many = [{"file": f"{k}.png", "label": k % 2} for k in range(9)]
    with pytest.raises(ValueError, match=r"5 of 9 files .*: 4.png, 5.png, .*8.png; set"):
        image_table(many, str(tmp_path / "pictures"))


def test_corrupt_files_are_named_by_the_reading(tmp_path, rows):
    (tmp_path / "pictures" / "2.png").write_text("broken")
    splits = image_table(rows, str(tmp_path / "pictures")).load()
    with pytest.raises(UnreadableExamplesError, match=r"1 of 4 images .*2\.png \(Unid"):
        read_into_memory(splits)


def test_wrong_arguments_are_named(tmp_path, rows):
    root = str(tmp_path / "pictures")
    with pytest.raises(ValueError, match=r"no column 'path'; known: age, file, label"):
        image_table(rows, root, file_column="path")
    with pytest.raises(ValueError, match=r"no column 'folds'"):
        image_table(rows, root, split_column="folds")
    with pytest.raises(ValueError, match=r"data.channels=4"):
        image_table(rows, root, channels=4)
    with pytest.raises(ValueError, match=r"split 'dev' in row 1 of column 'split'; must be one of"):
        image_table([{**row, "split": "dev"} for row in rows], root)
