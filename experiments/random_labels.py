"""A network fits even labels and images in which there is nothing to learn.

Zhang et al. 2017, "Understanding deep learning requires rethinking generalization" (arXiv
1611.03530, section 2): the same network, with the same settings and without regularization, is
trained on CIFAR-10 as it is and with its labels or pixels corrupted.

    python -m experiments.random_labels data.source.root=DIR data.limit=5000 [KEY=VALUE ...]

trains all six variants in turn, each in `outputs/random_labels/VARIANT`, and writes `table.md`,
`table.csv` and `curves.png` beside them: the training loss by step, as in figure 1a. Stopped or
killed, the same command goes on. All words are passed on to `python -m trainer`, such as
`duration=80ep` or `model=mini_inception optimizer.learning_rate=0.1`; `hydra.run.dir=DIR` is
another folder for the study. One variant by itself:

    python -m trainer experiment=random_labels data.corruption=random_labels data.source.root=DIR

Result (seed 0, one run; accuracies of the last weights, after 40 epochs; steps to the end of the
first epoch in which 99 % of the training examples, as they were met, were right):

    training data                train    test     steps to 99 %
    true labels                  100.0 %  43.1 %   624
    partially corrupted (half)   100.0 %  27.2 %   819
    random labels                100.0 %   9.1 %   897
    shuffled pixels              100.0 %  42.4 %   702
    random pixels                100.0 %  18.8 %   468
    Gaussian pixels              100.0 %   9.8 %   195

Random labels are fitted too, in half as many steps again, and say nothing about the test images. To
an MLP shuffled pixels are as good as any. 26 minutes for all six, on two cores with AVX512-BF16
that were shared with other work.

Differs from the paper: 5,000 training images instead of 50,000, an MLP 3x512 instead of the small
Inception for the curves, images whole (32x32, not the central 28x28) and standardised by the mean
and deviation of each channel (not of each image), one share of corrupted labels instead of many.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainer.data.dataset import SPLITS, Arrays, DataSet
from trainer.data.statistics import channel_statistics
from trainer.study import Outcome, study, write_table
from trainer.suggestions import nearest

TITLES = {
    "none": "true labels",
    "partial_labels": "partially corrupted labels",
    "random_labels": "random labels",
    "shuffled_pixels": "shuffled pixels",
    "random_pixels": "random pixels",
    "gaussian": "Gaussian pixels",
}
ENOUGH = 0.99  # of the training examples are fitted
POINTS = 100  # of a curve in the figure, each the mean over as many steps


# ---- the data: `data=corrupted_cifar10`


def corrupted(
    source: DataSet, corruption: str = "none", share: float = 0.5, seed: int = 0
) -> DataSet:
    """Return a data set with its labels or pixels corrupted, the same ones every time.

    Labels are corrupted in the train split alone, so that the test split tells what was learned;
    pixels in all splits. `data.limit` and `data.validation` choose from what is corrupted already,
    so an example is the same whatever they are; a held-out share of train has corrupted labels.

    Args:
        source: What is corrupted: class numbers and, for pixels, images. On disk, these are read
            into memory.
        corruption: `none`; `partial_labels`, a share of the labels drawn anew, each class as likely
            as any other, the true one included; `random_labels`, all of them; `shuffled_pixels`,
            one permutation of the pixels for all images; `random_pixels`, another permutation for
            each image; `gaussian`, noise in place of each image, with mean and deviation of each
            channel of the training images (less what rounding and clipping to 0..255 take away).
        share: How likely a label is drawn anew by `partial_labels`, 0 to 1. The examples of a
            smaller share are among those of a larger one.
        seed: Fixes all of it. Apart from the run's seed, so that seeds compare.

    Raises:
        ValueError: If an argument is out of range; `load()` raises it if the source has no class
            numbers or no images to corrupt.
    """
    if not isinstance(source, DataSet):
        raise ValueError(
            f"data.source: a {type(source).__name__}, not a data set; its _target_ must return "
            "one, such as trainer.data.cifar10.cifar10"
        )
    if corruption not in TITLES:
        raise ValueError(
            f"data.corruption={corruption}: no such corruption; {nearest(corruption, TITLES)}"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"data.share={share}: must be a share of the labels, from 0 to 1")
    if seed < 0:
        raise ValueError(f"data.seed={seed}: must be a whole number, at least 0")
    return replace(
        source,
        name=f"{source.name} with {TITLES[corruption]}",
        load=partial(_load, source, corruption, share, seed),
    )


def _load(source: DataSet, corruption: str, share: float, seed: int) -> dict[str, Arrays]:
    splits = source.load()
    if corruption == "none":
        return splits
    is_of_labels = corruption in ("partial_labels", "random_labels")
    key, train = ("label" if is_of_labels else "image"), splits["train"]
    if key not in train or (is_of_labels and train[key].dtype != np.int32):
        raise ValueError(
            f"data.corruption={corruption}: {source.name} has no "
            f"{'class numbers' if is_of_labels else 'images'}; choose another source or corruption"
        )
    if is_of_labels:
        share = 1.0 if corruption == "random_labels" else share
        label = redrawn(np.asarray(train["label"]), len(source.class_names), share, seed)
        return {**splits, "train": {**train, "label": label}}
    mean, std = channel_statistics(train["image"])
    corrupt: Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
        "shuffled_pixels": lambda images, _: shuffled(images, np.random.default_rng(seed)),
        "random_pixels": each_shuffled,
        "gaussian": partial(noise, mean=mean, std=std),
    }
    return {
        split: {
            **arrays,
            "image": corrupt[corruption](
                np.asarray(arrays["image"]), np.random.default_rng([seed, SPLITS.index(split)])
            ),
        }
        for split, arrays in splits.items()
    }


def redrawn(label: np.ndarray, num_classes: int, share: float, seed: int) -> np.ndarray:
    """Draw each label anew with probability `share`, uniformly: int32 [N] to int32 [N]."""
    rng = np.random.default_rng(seed)
    is_redrawn = rng.random(len(label)) < share
    return np.where(is_redrawn, rng.integers(num_classes, size=len(label), dtype=np.int32), label)


def shuffled(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move the pixels of all images in the same way: uint8 [N, H, W, C]."""
    pixels = images.reshape(len(images), -1, images.shape[-1])  # [N, H * W, C]
    return pixels[:, rng.permutation(pixels.shape[1])].reshape(images.shape)


def each_shuffled(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move the pixels of each image in a way of its own: uint8 [N, H, W, C]."""
    pixels = images.reshape(len(images), -1, images.shape[-1])  # [N, H * W, C]
    return np.stack([rng.permutation(image) for image in pixels]).reshape(images.shape)


def noise(
    images: np.ndarray, rng: np.random.Generator, mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Return Gaussian noise in place of each image: uint8 [N, H, W, C].

    Args:
        images: their shape is what counts.
        rng: what is drawn from.
        mean: float32 [C], of images in [0, 1].
        std: float32 [C].
    """
    drawn = np.empty_like(images)
    for image in drawn:  # one at a time: all of them in float32 would take four times the memory
        values = mean + std * rng.standard_normal(image.shape, np.float32)
        image[:] = np.rint(255 * values.clip(0, 1))
    return drawn


# ---- the study: `python -m experiments.random_labels`


def main(arguments: Sequence[str]) -> int:
    """Train every variant and report; returns an exit code, as `trainer.study` has it."""
    variants = {corruption: [f"data.corruption={corruption}"] for corruption in TITLES}
    return study("random_labels", variants, ["accuracy"], report, arguments, about=__doc__ or "")


def report(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write the table and the figure."""
    header = [
        "training data",
        "train accuracy, %",
        "test accuracy, %",
        f"steps to {ENOUGH:.0%} of train",
    ]
    rows = []
    for outcome in outcomes:
        enough = steps_to(ENOUGH, *outcome.curve("train/accuracy"))
        accuracies = [f"{100 * of['accuracy']:.1f}" for of in (outcome.train, outcome.test)]
        rows.append([TITLES[outcome.variant], *accuracies, str(enough or "never")])
    write_table(header, rows, folder)
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for outcome in outcomes:
        axes.plot(*averaged(*outcome.curve("train/loss")), label=TITLES[outcome.variant])
    axes.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / "curves.png")
    print(f"table and figure: {folder}")


def steps_to(level: float, steps: Sequence[int], accuracies: Sequence[float]) -> int | None:
    """Return the first step at which the accuracy is at least `level`; None if there is none.

    Args:
        level: from 0 to 1.
        steps: at which the accuracy was written: once an evaluation.
        accuracies: over the examples trained on since the step before, as they were met.
    """
    pairs = zip(steps, accuracies, strict=True)
    return next((step for step, accuracy in pairs if accuracy >= level), None)


def averaged(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return means over at most `POINTS` equal stretches of a curve."""
    num_points = min(POINTS, len(steps))
    return tuple(  # type: ignore[return-value]
        [float(part.mean()) for part in np.array_split(np.asarray(column, float), num_points)]
        for column in (steps, values)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
