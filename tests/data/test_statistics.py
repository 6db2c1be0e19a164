import numpy as np
import pytest

from trainer.data.statistics import MIN_STD, channel_statistics


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (7, 5, 3, 1), (300, 64, 64, 3)])
def test_channel_statistics_are_those_of_the_scaled_images(shape):
    images = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    assert mean.dtype == std.dtype == np.float32 and mean.shape == std.shape == shape[-1:]
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, np.maximum(scaled.std((0, 1, 2)), MIN_STD), rtol=1e-6)


def test_channel_statistics_do_not_depend_on_order_or_memory_layout():
    images = np.random.default_rng(0).integers(0, 256, size=(50, 3, 8, 8), dtype=np.uint8)
    images = images.transpose(0, 2, 3, 1)  # as CIFAR's planes are
    for ours, shuffled in zip(
        channel_statistics(images), channel_statistics(images[::-1].copy()), strict=True
    ):
        np.testing.assert_array_equal(ours, shuffled)


def test_channel_statistics_of_a_constant_channel_can_be_divided_by():
    images = np.full((4, 2, 2, 2), 255, np.uint8)
    images[..., 1] = 0
    mean, std = channel_statistics(images)
    np.testing.assert_array_equal(mean, [1, 0])
    np.testing.assert_allclose(std, [MIN_STD, MIN_STD])


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4, 1), np.float32),
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((0, 4, 4, 1), "u1"),
    ],
)
def test_channel_statistics_refuse_other_arrays(images):
    with pytest.raises(ValueError, match=r"must be uint8 \[N, H, W, C\]"):
        channel_statistics(images)


def test_statistics_over_all_channels_are_the_same_two_numbers_for_each():
    images = np.random.default_rng(0).integers(0, 256, size=(7, 5, 3, 3), dtype=np.uint8)
    images[..., 1] //= 4
    mean, std = channel_statistics(images, over_channels=True)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, np.full(3, scaled.mean()), rtol=1e-6)
    np.testing.assert_allclose(std, np.full(3, scaled.std()), rtol=1e-6)
