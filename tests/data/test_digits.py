import numpy as np
from sklearn.datasets import load_digits

from trainer.data.dataset import check_arrays
from trainer.data.digits import digits


def test_digits_are_the_bundled_images_scaled_to_uint8():
    data_set = digits()
    splits = data_set.load()
    check_arrays(data_set, splits)
    image, label = splits["train"]["image"], splits["train"]["label"]
    source = load_digits()
    assert list(splits) == ["train"]
    assert image.shape == (1797, 8, 8, 1) and image.max() == 255 and image.min() == 0
    np.testing.assert_allclose(image[..., 0] / 255, source.images / 16, atol=0.5 / 255)
    np.testing.assert_array_equal(label, source.target)
    assert data_set.class_names == tuple("0123456789")
