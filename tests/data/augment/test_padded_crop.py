import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, images

from trainer.data.augment import PaddedCrop


def padded_crops(image, padding, mode):
    """All crops of one padded image, by NumPy: [(2p+1)^2, H, W, C]."""
    height, width, _ = image.shape
    pad = [(padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(image, pad, mode="reflect" if mode == "reflect" else "constant")
    offsets = range(2 * padding + 1)
    return np.stack([padded[y : y + height, x : x + width] for y in offsets for x in offsets])


@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize(("padding", "height", "width"), [(1, 8, 6), (4, 8, 6), (5, 6, 9)])
def test_padded_crop_is_a_crop_of_numpys_padding(mode, padding, height, width):
    batch = images(32, height, width)
    cropped = PaddedCrop(padding, mode)(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), cropped, strict=True):
        assert (padded_crops(before, padding, mode) == after).all((1, 2, 3)).any()


def test_padded_crop_zero_may_pad_beyond_the_image():
    batch = images(64, 2, 2)
    cropped = PaddedCrop(3, "zero")(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), cropped, strict=True):
        assert (padded_crops(before, 3, "zero") == after).all((1, 2, 3)).any()


def test_padded_crop_reaches_every_place_about_equally_often():
    image = tf.tile(images(1, 4, 4, 1)["image"], [9000, 1, 1, 1])
    cropped = PaddedCrop(1, "zero")({"image": image}, KEY)["image"].numpy()
    crops = padded_crops(image[0].numpy(), 1, "zero")
    counts = (cropped[:, np.newaxis] == crops).all((2, 3, 4)).sum(0)
    assert counts.sum() == 9000
    np.testing.assert_allclose(counts, 1000, atol=150)  # five standard deviations


@pytest.mark.parametrize("mode", ["reflect", "zero"])
def test_padded_crop_under_xla_is_a_crop_of_numpys_padding(mode):
    # XLA draws other numbers, so only what is done can be compared, not to which image.
    batch = images()
    cropped = tf.function(PaddedCrop(3, mode), jit_compile=True)(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), cropped, strict=True):
        assert (padded_crops(before, 3, mode) == after).all((1, 2, 3)).any()


@pytest.mark.parametrize("padding", [0, -1, 1.5, True])
def test_padded_crop_refuses_other_paddings(padding):
    with pytest.raises(ValueError, match=f"padding={padding} must be a whole number, at least 1"):
        PaddedCrop(padding)


def test_padded_crop_offers_the_nearest_mode():
    with pytest.raises(ValueError, match="mode='reflekt' is unknown; did you mean reflect"):
        PaddedCrop(4, mode="reflekt")


def test_padded_crop_cannot_reflect_more_than_the_image():
    with pytest.raises(ValueError, match=r"padding=6 with mode=reflect .* 8x6; use at most 5"):
        PaddedCrop(6)(images(), KEY)
    PaddedCrop(5)(images(), KEY)
