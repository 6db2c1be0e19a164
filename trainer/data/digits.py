"""Handwritten digits: 1,797 real 8x8 grey images that come with scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits

from trainer.data.dataset import Arrays, DataSet


def digits() -> DataSet:
    """Return the digits data set: 1,797 images, uint8 [N, 8, 8, 1], ten classes, one "train" split.

    The images are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
    C. Kaynak, UCI, 1998). The held-out share is made by `splits.hold_out`.
    """
    return DataSet(name="digits", class_names=tuple("0123456789"), load=_load)


def _load() -> dict[str, Arrays]:
    source = load_digits()
    # Grey levels 0..16 are spread over 0..255: 16 * 255 / 16 = 255 exactly.
    image = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]  # [N, 8, 8, 1]
    return {"train": {"image": image, "label": source.target.astype(np.int32)}}
