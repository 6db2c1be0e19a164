import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, images

from trainer.data.augment import Cutout


def all_cutouts(image, size, fill):
    """Every way to erase a square around a pixel, by slices: [H * W, H, W, C]."""
    height, width, _ = image.shape
    erased = []
    for row in range(height):
        for column in range(width):
            top, left = row - size // 2, column - size // 2
            one = image.copy()
            one[max(top, 0) : top + size, max(left, 0) : left + size] = fill
            erased.append(one)
    return np.stack(erased)


@pytest.mark.parametrize(("height", "width", "fraction", "size"), [(8, 6, 0.5, 3), (6, 9, 0.33, 2)])
@pytest.mark.parametrize("jit", [False, True])
def test_a_square_around_a_pixel_is_erased(height, width, fraction, size, jit):
    batch = images(64, height, width)
    out = tf.function(Cutout(fraction, 0.25), jit_compile=jit)(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), out, strict=True):
        assert (all_cutouts(before, size, 0.25) == after).all((1, 2, 3)).any()


def test_every_pixel_is_the_centre_about_equally_often():
    batch = {"image": tf.ones([9000, 3, 3, 1])}
    out = Cutout(0.3, fill=0)(batch, KEY)["image"].numpy()  # one pixel of each
    np.testing.assert_allclose((out == 0).sum(0)[..., 0], 1000, atol=150)


def test_the_whole_side_may_be_erased():
    out = Cutout(1, fill=1)({"image": tf.zeros([300, 3, 3, 1])}, KEY)["image"].numpy()
    assert out.sum((1, 2, 3)).max() == 9 and out.sum((1, 2, 3)).min() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size_fraction": 1.5}, "size_fraction=1.5 must lie between 0 and 1"),
        ({"size_fraction": 0}, "size_fraction=0 erases nothing"),
        ({"fill": 127}, "fill=127 must lie between 0 and 1"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"Cutout: {message}"):
        Cutout(**arguments)
