import numpy as np

from trainer.report.image_grid import grid, stretched


def test_stretching_uses_the_full_range_of_all_images_together():
    images = np.array([[-1.0, 0.0], [1.0, 3.0]]).reshape(2, 1, 2, 1)
    np.testing.assert_array_equal(stretched(images).ravel(), [0, 64, 128, 255])
    assert not stretched(np.ones((1, 2, 2, 1))).any()


def test_the_grid_holds_every_image_row_by_row():
    images = np.arange(1, 6, dtype="uint8")[:, None, None, None] * np.ones((5, 2, 3, 1), "uint8")
    picture = grid(images)
    assert picture.shape == (2 * 3, 3 * 4, 1)
    np.testing.assert_array_equal(picture[::3, ::4, 0], [[1, 2, 3], [4, 5, 0]])
