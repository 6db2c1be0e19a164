"""Which examples are used, and which split chooses the best weights.

Both functions are pure: the same arrays and arguments give the same examples in the same order,
whatever the run's seed.
"""

import math

import numpy as np
from sklearn.model_selection import train_test_split

from trainer.data.dataset import Arrays, class_numbers, num_examples

# Held out of train by validation=auto where the data set has neither a val nor a test split.
AUTO_SHARE = 0.1

TEST_NOTE = "val is the test split: the best weights are chosen on the examples that are reported"


def limit(arrays: Arrays, n: int) -> Arrays:
    """Keep n examples of a split, stratified over the classes where there are some.

    Class c gets its share n * N_c / N rounded down; what is left goes, one each, to the classes
    with the largest remainder (ties: the lower label). Of each class the first examples are kept,
    and the original order. Without class numbers the first n examples are kept.

    Args:
        arrays: The split.
        n: How many examples, at least 1; with n >= N all of them.

    Returns:
        The same keys with min(n, N) examples each.

    Raises:
        ValueError: If n is not a whole number of at least 1.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"data.limit={n}: must be a whole number of at least 1, or null for all.")
    if n >= num_examples(arrays):
        return arrays
    label = class_numbers(arrays)
    if label is None:
        return {key: array[:n] for key, array in arrays.items()}
    classes, counts = np.unique(label, return_counts=True)
    quotas, remainders = np.divmod(n * counts, len(label))
    largest_first = np.argsort(-remainders, kind="stable")
    quotas[largest_first[: n - quotas.sum()]] += 1
    kept = np.sort(
        np.concatenate(
            [np.flatnonzero(label == c)[:q] for c, q in zip(classes, quotas, strict=True)]
        )
    )
    return {key: array[kept] for key, array in arrays.items()}


def hold_out(
    splits: dict[str, Arrays],
    validation: str | float,
    split_seed: int,
    test: float | None = None,
) -> tuple[dict[str, Arrays], str]:
    """Decide what the validation split is, and the test split where the data set has none.

    Args:
        splits: What the data set has: "train", and perhaps "val" and "test".
        validation: "auto": the data set's val split, else its test split, else 0.1 of train;
            "test": the test split; or a share in (0, 1) that is held out of train, stratified over
            the classes where there are some (`sklearn.model_selection.train_test_split`), in the
            original order.
        split_seed: Which examples are held out. Apart from the run's seed, so that runs with
            different seeds are measured on the same examples.
        test: The share of train in (0, 1) that is held out as the test split, before validation
            is; None: the test split is the data set's own, if it has one.

    Returns:
        splits: "train", "val", and "test" where there is one. When val is the test split, both
            names hold the same arrays.
        note: One line that says what val is. To be shown: where it is the test split, the best
            weights are chosen on the very examples that are reported.

    Raises:
        ValueError: If `validation` is neither of these, there is no test split to use, there is
            one beside `test`, or a class is too small to be in both parts.
    """
    test_note = ""
    if test is not None:
        if "test" in splits:
            raise ValueError(f"data.test={test:g}: the data set has a test split; leave it out.")
        train, held_out = _divide("data.test", splits["train"], test, split_seed)
        # Unlike a test split that came with the data: it was asked for, to be kept for the end.
        validation = AUTO_SHARE if validation == "auto" and "val" not in splits else validation
        splits = {**splits, "train": train, "test": held_out}
        test_note = f"; test is {test:g} of train, held out before"
    share = validation
    if validation == "auto":
        if "val" in splits:
            return _ordered(splits), "val is the data set's own split" + test_note
        share = "test" if "test" in splits else AUTO_SHARE
    if share == "test":
        if "test" not in splits:
            raise ValueError(
                "data.validation=test: the data set has no test split (it has "
                f"{', '.join(splits)}); use auto, a share such as 0.1, or hold one out with "
                "data.test=0.1."
            )
        note = TEST_NOTE + _unused(splits) + test_note
        return _ordered({**splits, "val": splits["test"]}), note
    if not isinstance(share, float) or not 0 < share < 1:
        raise ValueError(
            f"data.validation={validation}: must be auto, test, or a share between 0 and 1 such "
            "as 0.1."
        )

    train, val = _divide("data.validation", splits["train"], share, split_seed)
    note = f"val is {share:g} of train, held out with split_seed={split_seed}"
    note += _unused(splits) + test_note
    return _ordered({**splits, "train": train, "val": val}), note


def _divide(setting: str, arrays: Arrays, share: float, split_seed: int) -> tuple[Arrays, Arrays]:
    count, label = num_examples(arrays), class_numbers(arrays)
    if label is not None:
        _check_stratifiable(setting, label, share)
    elif count < 2:
        raise ValueError(f"{setting}={share:g}: one example cannot be divided; add examples.")
    rest, held_out = train_test_split(
        np.arange(count), test_size=share, random_state=split_seed, stratify=label
    )
    rest.sort()
    held_out.sort()
    return (
        {key: array[rest] for key, array in arrays.items()},
        {key: array[held_out] for key, array in arrays.items()},
    )


def _check_stratifiable(setting: str, label: np.ndarray, share: float) -> None:
    classes, counts = np.unique(label, return_counts=True)
    num_held_out = math.ceil(share * len(label))  # as train_test_split rounds it
    if counts.min() < 2:
        raise ValueError(
            f"{setting}={share:g}: class {classes[counts.argmin()]} has a single training "
            "example, so it cannot be on both sides; add examples or raise data.limit."
        )
    if min(num_held_out, len(label) - num_held_out) < len(classes):
        raise ValueError(
            f"{setting}={share:g}: splits {len(label)} examples into "
            f"{len(label) - num_held_out} and {num_held_out}, and each part needs at least one "
            f"of the {len(classes)} classes; use a share nearer to 0.5 or more examples."
        )


def _unused(splits: dict[str, Arrays]) -> str:
    return "; the data set's own val split is not used" if "val" in splits else ""


def _ordered(splits: dict[str, Arrays]) -> dict[str, Arrays]:
    return {split: splits[split] for split in ("train", "val", "test") if split in splits}
