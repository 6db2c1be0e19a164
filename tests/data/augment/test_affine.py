import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, images

from trainer.data.augment import RandomAffine
from trainer.data.augment.affine import FILLS, affine

NUMPY_MODES = {"reflect": "reflect", "zero": "constant", "nearest": "edge"}


def transformed(image, fill="zero", **amounts):
    amounts = {"rotation": 0, "down": 0, "right": 0, "zoom": 1, "shear": 0} | amounts
    one = {name: tf.constant([amount], tf.float32) for name, amount in amounts.items()}
    return affine(tf.constant(image[np.newaxis]), **one, fill=fill).numpy()[0]


def pattern(height, width, channels=2):
    return images(1, height, width, channels)["image"].numpy()[0]


def numpy_affine(image, rotation, down, right, zoom, shear, fill):
    """The definition, pixel by pixel, with the inverse of the map's matrix by NumPy."""
    height, width, _ = image.shape
    turn = [[np.cos(rotation), np.sin(rotation)], [-np.sin(rotation), np.cos(rotation)]]
    inverse = np.linalg.inv(zoom * np.array(turn) @ np.array([[1, shear], [0, 1]]))  # of (x, y)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    pad = 40
    padded = np.pad(image, [(pad, pad), (pad, pad), (0, 0)], mode=NUMPY_MODES[fill])
    out = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            moved = np.array([x, y]) - centre - [right * width, down * height]
            column, row = inverse @ moved + centre + pad
            top, left = int(np.floor(row)), int(np.floor(column))
            b, a = row - top, column - left
            upper = (1 - a) * padded[top, left] + a * padded[top, left + 1]
            lower = (1 - a) * padded[top + 1, left] + a * padded[top + 1, left + 1]
            out[y, x] = (1 - b) * upper + b * lower
    return out


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("size", [(8, 8), (7, 12), (1, 5)])
def test_all_four_together_equal_the_definition(fill, size):
    rng, image = np.random.default_rng(1), pattern(*size)
    for _ in range(5):
        amounts = {
            "rotation": rng.uniform(-3, 3),
            "down": rng.uniform(-0.5, 0.5),
            "right": rng.uniform(-0.5, 0.5),
            "zoom": rng.uniform(0.6, 1.5),
            "shear": rng.uniform(-0.5, 0.5),
        }
        expected = numpy_affine(image, fill=fill, **amounts)
        np.testing.assert_allclose(transformed(image, fill, **amounts), expected, atol=2e-5)


@pytest.mark.parametrize("fill", FILLS)
def test_no_change_is_no_change(fill):
    image = pattern(7, 10)
    np.testing.assert_array_equal(transformed(image, fill), image)
    batch = images()
    np.testing.assert_array_equal(RandomAffine(fill=fill)(batch, KEY)["image"], batch["image"])


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_a_quarter_turn_is_numpys_rot90(quarters):
    image = pattern(9, 9)
    turned = transformed(image, "reflect", rotation=quarters * np.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-5)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, -3), (-1, 4)])
def test_a_shift_by_whole_pixels_is_numpys_crop_of_the_padded_image(fill, down, right):
    image = pattern(8, 8)
    padded = np.pad(image, [(4, 4), (4, 4), (0, 0)], mode=NUMPY_MODES[fill])
    expected = padded[4 - down : 12 - down, 4 - right : 12 - right]
    shifted = transformed(image, fill, down=down / 8, right=right / 8)
    np.testing.assert_array_equal(shifted, expected)


def test_a_shift_by_half_a_pixel_is_the_mean_of_neighbours():
    image = pattern(6, 8)
    shifted = transformed(image, right=0.5 / 8)
    np.testing.assert_allclose(shifted[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(shifted[:, 0], image[:, 0] / 2, atol=1e-6)


def test_zooming_in_by_two_doubles_a_ramp_about_the_centre():
    row = np.arange(9, dtype=np.float32) / 8
    image = np.tile(row[np.newaxis, :, np.newaxis], [9, 1, 1])
    np.testing.assert_allclose(transformed(image, zoom=2)[4, :, 0], (row + 0.5) / 2, atol=1e-6)


def test_zooming_out_by_two_takes_every_other_pixel_and_fills_the_rest():
    image = pattern(9, 9)
    small = transformed(image, "zero", zoom=0.5)
    np.testing.assert_allclose(small[2:7, 2:7], image[::2, ::2], atol=1e-6)
    assert not small[:2].any() and not small[:, 7:].any()


def test_a_shear_slides_rows_in_proportion_to_their_distance_from_the_centre():
    image = pattern(5, 5)
    sheared = transformed(image, "zero", shear=1)
    for y in range(5):
        expected = np.pad(image[y], [(2, 2), (0, 0)])[4 - y : 9 - y]
        np.testing.assert_allclose(sheared[y], expected, atol=1e-6)


def test_amounts_cover_their_ranges_evenly():
    image = np.zeros([4000, 1, 201, 1], np.float32)
    image[:, 0, 100] = 1
    batch = {"image": tf.constant(image)}
    out = RandomAffine(shift_fraction=0.25, fill="nearest")(batch, KEY)["image"].numpy()
    shift = (out[:, 0, :, 0] * np.arange(-100, 101)).sum(1) / 201
    assert abs(shift).max() <= 0.25 + 1e-5
    np.testing.assert_allclose(np.quantile(shift, [0.25, 0.5, 0.75]), [-0.125, 0, 0.125], atol=0.02)


def test_an_option_alone_leaves_the_others_out():
    batch = images(32, 9, 9)
    zoomed = RandomAffine(zoom_fraction=0.5)(batch, KEY)["image"].numpy()
    np.testing.assert_allclose(zoomed[:, 4, 4], batch["image"].numpy()[:, 4, 4], atol=1e-6)
    slid = RandomAffine(shear_fraction=0.5)(batch, KEY)["image"].numpy()
    np.testing.assert_allclose(slid[:, 4], batch["image"].numpy()[:, 4], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rotation_degrees": 200}, "rotation_degrees=200 must lie between 0 and 180"),
        ({"rotation_degrees": -1}, "rotation_degrees=-1 must lie"),
        ({"shift_fraction": 1.5}, "shift_fraction=1.5 must lie between 0 and 1"),
        ({"shear_fraction": float("nan")}, "shear_fraction=nan must lie"),
        ({"zoom_fraction": 1}, "zoom_fraction=1 shrinks to nothing"),
        ({"fill": "reflekt"}, "fill='reflekt' is unknown; did you mean reflect"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"RandomAffine: {message}"):
        RandomAffine(**arguments)
