import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.data import placement
from trainer.data.class_folder import class_folder
from trainer.data.dataset import ArrayOnDisk, check_arrays
from trainer.data.placement import choose_feed, read_into_memory


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def random_pixels(seed, height=6, width=5, channels=3):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


COLOURS = random_pixels(7)


def load(root, **arguments):
    data_set = class_folder(str(root), **arguments)
    splits = data_set.load()
    check_arrays(data_set, splits)
    assert all(isinstance(arrays["image"], ArrayOnDisk) for arrays in splits.values())
    splits = read_into_memory(splits)
    check_arrays(data_set, splits)
    return data_set, splits


@pytest.fixture
def colour_folder(tmp_path):
    """Two classes of three 6x5 colour images in train, one each in test."""
    for label, name in enumerate(["cat", "dog"]):
        for k in range(3):
            save(tmp_path / "train" / name / f"{k}.png", random_pixels(10 * label + k))
        save(tmp_path / "test" / name / "0.png", random_pixels(10 * label + 9))
    return tmp_path


def test_class_folder_reads_the_pixels_in_sorted_order(colour_folder):
    data_set, splits = load(colour_folder)
    assert data_set.name == colour_folder.name and data_set.class_names == ("cat", "dog")
    assert list(splits) == ["train", "test"]
    np.testing.assert_array_equal(splits["train"]["label"], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(
        splits["train"]["image"], [random_pixels(seed) for seed in (0, 1, 2, 10, 11, 12)]
    )
    np.testing.assert_array_equal(splits["test"]["image"][1], random_pixels(19))


def test_class_folder_reads_names_that_are_not_utf8(colour_folder):
    save(Path(os.fsdecode(bytes(colour_folder / "train" / "cat") + b"/3\xff.png")), COLOURS)
    np.testing.assert_array_equal(load(colour_folder)[1]["train"]["image"][3], COLOURS)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_class_folder_takes_the_usual_names_for_val(colour_folder, name):
    (colour_folder / "test").rename(colour_folder / name)
    assert list(load(colour_folder)[1]) == ["train", "val"]


def test_class_folder_without_split_folders_is_all_train(colour_folder):
    _, splits = load(colour_folder / "train")
    assert list(splits) == ["train"] and len(splits["train"]["label"]) == 6


def test_class_folder_ignores_hidden_and_other_files(colour_folder):
    cat = colour_folder / "train" / "cat"
    (cat / "notes.txt").write_text("no image")
    (cat / ".hidden.png").write_text("no image")
    (colour_folder / "train" / ".cache").mkdir()
    (colour_folder / "train" / "README.md").write_text("no class")
    (colour_folder / "elsewhere").mkdir()
    assert len(load(colour_folder)[1]["train"]["label"]) == 6


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "jpg", "JPEG", "gif", "webp"])
def test_class_folder_reads_each_image_type(tmp_path, suffix):
    for name, level in (("a", 0), ("b", 200)):
        save(tmp_path / name / f"0.{suffix}", np.full((8, 8, 3), level))
    _, splits = load(tmp_path, channels=3)
    np.testing.assert_allclose(splits["train"]["image"][0], 0, atol=3)
    np.testing.assert_allclose(splits["train"]["image"][1], 200, atol=3)


def test_class_folder_of_grey_images_has_one_channel(tmp_path):
    save(tmp_path / "a" / "0.png", random_pixels(0, channels=1))
    wide = (random_pixels(1, channels=1).astype(np.uint16) << 8) + 77  # 16 bits
    (tmp_path / "b").mkdir()
    Image.fromarray(wide).save(tmp_path / "b" / "0.png")
    bits = random_pixels(2, channels=1) > 127
    Image.fromarray(bits).save(tmp_path / "b" / "1.png")
    _, splits = load(tmp_path)
    image = splits["train"]["image"]
    assert image.shape == (3, 6, 5, 1)
    np.testing.assert_array_equal(image[0, ..., 0], random_pixels(0, channels=1))
    np.testing.assert_array_equal(image[1, ..., 0], random_pixels(1, channels=1))
    np.testing.assert_array_equal(image[2, ..., 0], 255 * bits)


def test_class_folder_with_one_colour_image_has_three_channels(tmp_path):
    save(tmp_path / "train" / "a" / "0.png", random_pixels(0, channels=1))
    save(tmp_path / "train" / "b" / "0.png", random_pixels(1, channels=1))
    save(tmp_path / "test" / "a" / "0.png", random_pixels(2))
    save(tmp_path / "test" / "b" / "0.png", random_pixels(3, channels=1))
    _, splits = load(tmp_path)
    grey = random_pixels(0, channels=1)
    np.testing.assert_array_equal(splits["train"]["image"][0], np.stack([grey] * 3, -1))
    np.testing.assert_array_equal(splits["test"]["image"][0], random_pixels(2))
    _, splits = load(tmp_path, channels=1)
    assert splits["test"]["image"].shape == (2, 6, 5, 1)


def test_class_folder_lays_transparency_on_white_and_reads_palettes(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 255)  # the lower half is transparent
    save(tmp_path / "a" / "0.png", pixels)
    (tmp_path / "b").mkdir()
    palette = Image.fromarray(np.array([[0, 1]] * 4, np.uint8).repeat(2, 1), mode="L").convert("P")
    palette.putpalette([200, 0, 0, 0, 100, 0])
    palette.save(tmp_path / "b" / "0.png", transparency=1)
    image = load(tmp_path)[1]["train"]["image"]
    np.testing.assert_array_equal(image[0, 0, 0], [10, 20, 30])
    np.testing.assert_array_equal(image[0, 3, 0], [255, 255, 255])
    np.testing.assert_array_equal(image[1, 0, 0], [200, 0, 0])
    np.testing.assert_array_equal(image[1, 0, 3], [255, 255, 255])


def test_class_folder_resizes_to_the_commonest_size_and_says_so(tmp_path, caplog):
    for k in range(3):
        save(tmp_path / "a" / f"{k}.png", random_pixels(k))
    save(tmp_path / "b" / "0.png", np.full((12, 9, 3), 77))
    with caplog.at_level(logging.INFO, logger="trainer"):
        image = load(tmp_path)[1]["train"]["image"]
    assert image.shape == (4, 6, 5, 3) and (image[3] == 77).all()
    assert "resized 1 of 4 images to [6, 5] ([height, width])" in caplog.text


def test_class_folder_breaks_ties_of_size_by_the_smaller(tmp_path):
    save(tmp_path / "a" / "0.png", random_pixels(0, 12, 9))
    save(tmp_path / "b" / "0.png", random_pixels(1, 6, 5))
    assert load(tmp_path)[1]["train"]["image"].shape == (2, 6, 5, 3)


def test_class_folder_resizes_to_a_given_size(colour_folder):
    _, splits = load(colour_folder, image_size=[3, 4])
    assert splits["train"]["image"].shape == (6, 3, 4, 3)
    expected = Image.fromarray(random_pixels(0)).resize((4, 3), Image.Resampling.BILINEAR)
    # Pillow resizes with integers, TensorFlow with floats.
    np.testing.assert_allclose(splits["train"]["image"][0].astype(int), expected, atol=1)


def test_class_folder_counts_and_names_broken_images(colour_folder):
    truncated = colour_folder / "train" / "cat" / "1.png"
    truncated.write_bytes(truncated.read_bytes()[:-40])
    (colour_folder / "train" / "dog" / "0.png").write_bytes(b"")
    (colour_folder / "test" / "dog" / "0.png").write_text("not an image")
    with pytest.raises(ValueError) as info:
        load(colour_folder)
    text = str(info.value)
    assert "3 of 8 images cannot be read" in text and "remove or replace them" in text
    for name in ("train/cat/1.png", "train/dog/0.png", "test/dog/0.png"):
        assert str(colour_folder / name) in text
    assert "\n" not in text


def test_class_folder_names_only_the_first_few_broken_images(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for k in range(10):
            (tmp_path / name / f"{k}.jpg").write_text("broken")
    with pytest.raises(ValueError, match="20 of 20 images cannot be read") as info:
        load(tmp_path)
    assert str(info.value).count(".jpg") == 5 and ", ...;" in str(info.value)


def test_class_folder_does_not_run_other_formats_under_an_image_name(tmp_path):
    for name in "ab":
        save(tmp_path / name / "0.png", random_pixels(0))
    (tmp_path / "a" / "1.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n")
    with pytest.raises(ValueError, match=r"1 of 3 images cannot be read: .*1\.png"):
        load(tmp_path)


def test_class_folder_too_large_for_memory_is_streamed(colour_folder, monkeypatch):
    splits = class_folder(str(colour_folder), image_size=[10**6, 10**6]).load()
    assert choose_feed("auto", splits) == "streamed"
    text = r"data.feed=resident: 6 images of 1000000x1000000x3 .* use data.feed=streamed, make"
    with pytest.raises(ValueError, match=text):
        choose_feed("resident", splits)
    splits = class_folder(str(colour_folder)).load()
    num_bytes = 8 * 6 * 5 * 3
    for memory, feed in ((4 * num_bytes, "resident"), (4 * num_bytes - 1, "streamed")):
        monkeypatch.setattr(placement, "memory_size", lambda memory=memory: memory)
        assert choose_feed("auto", splits) == feed


def remove_root(root):
    root.rename(root.with_name("moved"))


def remove_classes(root):
    for name in ("cat", "dog"):
        (root / "train" / name).rename(root / name)


def empty_a_class(root):
    for path in (root / "train" / "cat").iterdir():
        path.rename(path.with_suffix(".tif"))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (remove_root, r"data.root=.*: does not exist; expected DIR/train/<class>/\*"),
        (remove_classes, "at least two class folders are needed, but .*train has 0 .*nothing"),
        (lambda r: (r / "train" / "dog").rename(r / "dog"), "needed, but .*train has 1 .*cat"),
        (empty_a_class, r"train/cat: no images in this class folder; add some \(\.bmp"),
        (lambda r: (r / "test" / "dog").rename(r / "dog"), "the test split .* but lacks dog;"),
        (lambda r: (r / "test" / "elk").mkdir(), "but has elk, which train lacks;"),
        (
            lambda r: (r / "test" / "dog").rename(r / "test" / "Dog"),
            "but lacks dog and has Dog, which train lacks; add or remove folders",
        ),
        (lambda r: (r / "train").rename(r / "training"), "has test but no train folder"),
        (
            lambda r: [(r / name).mkdir() for name in ("val", "valid")],
            "both val and valid would be the val split",
        ),
    ],
)
def test_class_folder_names_a_wrong_layout_at_once(colour_folder, spoil, text):
    spoil(colour_folder)
    with pytest.raises(ValueError, match=text):
        class_folder(str(colour_folder))


def test_class_folder_root_may_not_be_a_file(tmp_path):
    (tmp_path / "images.zip").write_text("")
    with pytest.raises(ValueError, match=r"images\.zip: is not a folder"):
        class_folder(str(tmp_path / "images.zip"))


@pytest.mark.parametrize("image_size", [64, [64], [64, 0], [64, 64, 3], [6.5, 6], "64"])
def test_class_folder_refuses_other_image_sizes(colour_folder, image_size):
    with pytest.raises(ValueError, match=r"must be \[height, width\] in whole pixels"):
        class_folder(str(colour_folder), image_size=image_size)


def test_class_folder_refuses_other_channels(colour_folder):
    with pytest.raises(ValueError, match=r"data.channels=4: must be 1 \(grey\), 3 \(colour\)"):
        class_folder(str(colour_folder), channels=4)
