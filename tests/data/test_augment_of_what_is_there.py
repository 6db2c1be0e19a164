"""An augmentation of images on data without images."""

import numpy as np
import pytest

from trainer.data.augment import RandomFlip
from trainer.data.data import Data


def test_is_refused_in_one_line():
    arrays = np.zeros((8, 3), "float32"), np.zeros(8, "int32")
    data = Data(train=arrays, batch_size=8, augment={"flip": RandomFlip()})
    with pytest.raises(ValueError, match=r"augment.flip: the data has no 'image', it has .*label"):
        data.example_batch()
