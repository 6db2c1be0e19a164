"""The smallest table with several yes/no labels: three yes/no features, counted."""

from functools import partial
from itertools import product

import numpy as np

from trainer.data.dataset import Arrays, DataSet

CLASS_NAMES = ("any", "at_least_two")


def toy_table(num_repeats: int = 32, seed: int = 0) -> DataSet:
    """Return the toy table: `features` float32 [N, 3] of 0 and 1, two yes/no labels float32 [N, 2].

    Label "any" is 1 where at least one feature is, "at_least_two" where at least two are. There are
    only 8 rows: the train split repeats and shuffles them, the test split has each once, and holds
    nothing that train does not.

    Args:
        num_repeats: How often the train split has each row, at least 1.
        seed: Of their order.

    Raises:
        ValueError: If `num_repeats` is below 1.
    """
    if num_repeats < 1:
        raise ValueError(f"data.num_repeats={num_repeats}: must be at least 1.")
    return DataSet("toy_table", CLASS_NAMES, partial(_load, num_repeats, seed))


def _load(num_repeats: int, seed: int) -> dict[str, Arrays]:
    rows = np.array(list(product((0, 1), repeat=3)), np.float32)
    shuffled = np.random.default_rng(seed).permutation(np.tile(rows, (num_repeats, 1)))
    return {"train": _labelled(shuffled), "test": _labelled(rows)}


def _labelled(features: np.ndarray) -> Arrays:
    count = features.sum(axis=1)
    label = np.stack([count >= 1, count >= 2], axis=1).astype(np.float32)
    return {"features": features, "label": label}
