import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, images

from trainer.data.augment import RandomBrightnessContrast


def test_brightness_adds_one_constant_an_image():
    batch = images(500)
    batch["image"] = 0.3 + 0.4 * batch["image"]
    out = RandomBrightnessContrast(0.3, 0)(batch, KEY)["image"].numpy()
    change = out - batch["image"].numpy()
    np.testing.assert_allclose(np.ptp(change, axis=(1, 2, 3)), 0, atol=1e-6)
    constant = change.mean(axis=(1, 2, 3))
    assert abs(constant).max() <= 0.3 + 1e-6
    np.testing.assert_allclose(
        np.quantile(constant, [0.25, 0.5, 0.75]), [-0.15, 0, 0.15], atol=0.05
    )


def test_contrast_scales_each_image_about_its_mean_colour():
    batch = images(500)
    batch["image"] = 0.4 + 0.2 * batch["image"]
    out = RandomBrightnessContrast(0, 0.5)(batch, KEY)["image"].numpy()
    before = batch["image"].numpy()
    mean = before.mean(axis=(1, 2), keepdims=True)
    factor = (out - mean).std(axis=(1, 2, 3)) / (before - mean).std(axis=(1, 2, 3))
    np.testing.assert_allclose(out, mean + factor[:, None, None, None] * (before - mean), atol=1e-5)
    assert factor.min() >= 0.5 - 1e-5 and factor.max() <= 1.5 + 1e-5
    np.testing.assert_allclose(np.quantile(factor, [0.25, 0.5, 0.75]), [0.75, 1, 1.25], atol=0.05)
    np.testing.assert_allclose(out, tf.stack([
        tf.image.adjust_contrast(image, f) for image, f in zip(before, factor, strict=True)
    ]), atol=1e-5)  # fmt: skip


def test_the_two_are_drawn_apart_and_what_leaves_the_range_is_clipped():
    batch = images(200)
    out = RandomBrightnessContrast(1, 1)(batch, KEY)["image"].numpy()
    assert (out == 0).any() and (out == 1).any()
    batch["image"] = 0.45 + 0.1 * batch["image"]
    before = batch["image"].numpy()
    out = RandomBrightnessContrast(0.2, 0.5)(batch, KEY)["image"].numpy()
    brightness, contrast = (
        (out - before).mean((1, 2, 3)),
        out.std((1, 2, 3)) / before.std((1, 2, 3)),
    )
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.25


@pytest.mark.parametrize("arguments", [{"brightness": -0.1}, {"contrast": 1.1}])
def test_other_arguments_are_refused(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"BrightnessContrast: {name}={value} must lie between"):
        RandomBrightnessContrast(**arguments)
