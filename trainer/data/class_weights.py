"""What an example counts in training by its class."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from trainer.data.dataset import Arrays, class_numbers, num_examples
from trainer.suggestions import nearest

ClassWeight = str | Sequence[float] | Mapping[str, float]


def weighted(arrays: Arrays, class_weight: ClassWeight, class_names: Sequence[str]) -> Arrays:
    """Return a split with its examples weighted by their classes.

    As in Keras, the sum of the weighted losses is divided by the number of examples, not by the sum
    of the weights. A `weight` that the split has already is multiplied.

    Args:
        arrays: the split.
        class_weight: one number a class, by class name (others count 1) or in their order; or
            "balanced": N / (K * N_c) for class c of the K that occur, so that each weighs the same
            in all (`sklearn.utils.class_weight.compute_class_weight`).
        class_names: one per class.

    Returns:
        The same keys and `weight` float32 [N].

    Raises:
        ValueError: if there are no class numbers, no such class, not one number a class, or a
            weight below 0.
    """
    label = class_numbers(arrays)
    if label is None:
        raise ValueError("data.class_weight: the labels are no class numbers; leave it out")
    by_class = _by_class(class_weight, label, class_names)
    before = np.asarray(arrays.get("weight", np.ones(num_examples(arrays))))
    return {**arrays, "weight": (before * by_class[label]).astype(np.float32)}


def _by_class(
    class_weight: ClassWeight, label: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
    num_classes = len(class_names)
    weights = np.ones(num_classes)
    if class_weight == "balanced":
        present = np.unique(label)
        weights[present] = compute_class_weight("balanced", classes=present, y=label)
        return weights
    if isinstance(class_weight, Mapping):
        for key, weight in class_weight.items():
            name = str(key)  # YAML reads the name of a digit as a number
            if name not in class_names:
                near = nearest(name, class_names)
                raise ValueError(f"data.class_weight.{name}={weight}: no such class; {near}")
            weights[list(class_names).index(name)] = _checked(weight)
    elif isinstance(class_weight, str) or len(class_weight) != num_classes:
        raise ValueError(
            f"data.class_weight={class_weight}: balanced, {num_classes} numbers, or numbers by "
            "class name"
        )
    else:
        weights[:] = [_checked(weight) for weight in class_weight]
    return weights


def _checked(weight: float) -> float:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 <= weight < np.inf:
        raise ValueError(f"data.class_weight: {weight} is not a number of at least 0")
    return weight
