import numpy as np
import pytest
from examples import KEY, images

from trainer.data.augment import RandomFlip


def test_random_flip_mirrors_the_width_of_about_its_share():
    batch = images(4000, 4, 4, 1)
    flipped = RandomFlip(0.3)(batch, KEY)["image"].numpy()
    before = batch["image"].numpy()
    mirrored = (flipped == before[:, :, ::-1]).all((1, 2, 3))
    kept = (flipped == before).all((1, 2, 3))
    assert (mirrored ^ kept).all()
    assert abs(mirrored.mean() - 0.3) < 0.04


@pytest.mark.parametrize("probability", [0, 1])
def test_random_flip_never_or_always(probability):
    batch = images()
    flipped = RandomFlip(probability)(batch, KEY)["image"].numpy()
    before = batch["image"].numpy()
    np.testing.assert_array_equal(flipped, before[:, :, ::-1] if probability else before)


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_random_flip_refuses_what_is_no_probability(probability):
    with pytest.raises(ValueError, match=f"probability={probability} must lie between 0 and 1"):
        RandomFlip(probability)
