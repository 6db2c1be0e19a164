"""Mix each example with another of the batch: images, labels and weights."""

import math

import tensorflow as tf

from trainer.data.augment.boxes import boxes
from trainer.data.augment.draws import check_share, symmetric_beta, uniform
from trainer.data.feeds import Batch


class Mixup:
    """Blends each image and label with those of a partner (Zhang et al. 2017, arXiv 1710.09412).

    `share * example + (1 - share) * partner` with share from Beta(alpha, alpha). Partners are a
    random permutation of the global batch, so an example is now and then its own.

    Differs from the authors' code: the share is drawn for each example, not once for the batch,
    which leaves its distribution and makes gradients less noisy.

    `label` becomes float32 [B, K]: a loss for soft labels such as CrossEntropy is needed. The share
    of an example in loss and gradient is in proportion to its `weight`, so one of weight 0, such as
    padding, does not teach its label; its image is seen.
    """

    def __init__(self, num_classes: int, alpha: float = 1.0, probability: float = 1.0) -> None:
        """Set how much is mixed.

        Args:
            num_classes: K. A run from the command line gets it from the data.
            alpha: Of the beta distribution, above 0. The default of 1, uniform, is the paper's for
                CIFAR-10; it took 0.1 to 0.4 for ImageNet, with which most are nearly unmixed.
            probability: Chance that an example is mixed at all, in [0, 1].

        Raises:
            ValueError: If any is out of range.
        """
        _check(type(self).__name__, num_classes, alpha, probability)
        self.num_classes = num_classes
        self.alpha = alpha
        self.probability = probability

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with mixed examples.

        Args:
            batch: `image` float32 [B, H, W, C], `label` int32 [B] or float32 [B, K], `weight`
                float32 [B]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` and `weight` have their old shapes, `label` is float32 [B, K].
        """
        order, chance, *share = uniform(batch, key, 4)
        partner = tf.argsort(order)
        other_share = symmetric_beta(self.alpha, *share)  # distributed as 1 minus it is
        other_share = tf.where(chance < self.probability, other_share, 0.0)
        image = batch["image"]
        others = tf.gather(image, partner)
        image = _blend(image, others, other_share[:, tf.newaxis, tf.newaxis, tf.newaxis])
        return {**batch, "image": image, **_targets(batch, partner, other_share, self.num_classes)}


class CutMix:
    """Pastes a box of a partner into each image (Yun et al. 2019, arXiv 1905.04899).

    The box has the image's proportions and covers a share from Beta(alpha, alpha) of it, its centre
    is uniform, and it is cut off at the border. The label is mixed by the area that was really
    pasted. Partners, labels and weights are as in `Mixup`.

    Differs from the authors' code: share and box are drawn for each example, not once for the
    batch, and boxes may have an odd number of pixels.
    """

    def __init__(self, num_classes: int, alpha: float = 1.0, probability: float = 0.5) -> None:
        """Set how much is pasted, and how often.

        Args:
            num_classes: K. A run from the command line gets it from the data.
            alpha: Of the beta distribution, above 0. The default of 1, uniform, is the paper's.
            probability: Chance that an example is mixed at all, in [0, 1]. The default of 0.5 is
                the paper's for CIFAR-10; it took 1 for ImageNet.

        Raises:
            ValueError: If any is out of range.
        """
        _check(type(self).__name__, num_classes, alpha, probability)
        self.num_classes = num_classes
        self.alpha = alpha
        self.probability = probability

    def __call__(self, batch: Batch, key: tf.Tensor) -> Batch:
        """Return the batch with mixed examples.

        Args:
            batch: `image` float32 [B, H, W, C], `label` int32 [B] or float32 [B, K], `weight`
                float32 [B]; B may be unknown. Other keys pass through.
            key: int64 [2].

        Returns:
            A new dict; `image` and `weight` have their old shapes, `label` is float32 [B, K].
        """
        order, chance, row, column, *share = uniform(batch, key, 6)
        partner = tf.argsort(order)
        box_share = symmetric_beta(self.alpha, *share)
        box_share = tf.where(chance < self.probability, box_share, 0.0)
        image = batch["image"]
        num_rows, num_columns = (
            tf.cast(tf.round(size * tf.sqrt(box_share)), tf.int32) for size in image.shape[1:3]
        )
        pasted = boxes(row, column, num_rows, num_columns, like=image)
        image = tf.where(pasted, tf.gather(image, partner), image)
        other_share = tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2, 3))  # [B]
        return {**batch, "image": image, **_targets(batch, partner, other_share, self.num_classes)}


def _targets(batch: Batch, partner: tf.Tensor, other_share: tf.Tensor, num_classes: int) -> Batch:
    """Return mixed labels and weights, such that the loss is the mix of the weighted losses.

    With s the partner's share, `(1 - s) w_i loss(y_i) + s w_j loss(y_j)` is `weight * loss(label)`
    for a loss that is linear in the label, as cross-entropy is.

    Args:
        batch: `label` int32 [B] or float32 [B, K], `weight` float32 [B].
        partner: int32 [B].
        other_share: float32 [B] in [0, 1].
        num_classes: K.
    """
    label, weight = batch["label"], batch["weight"]
    if label.shape.rank == 1:
        # Not one_hot, whose rows are silently all zero for a label outside [0, K).
        label = tf.gather(tf.eye(num_classes), label)
    other_weight = tf.gather(weight, partner)
    mixed_weight = _blend(weight, other_weight, other_share)
    mass = tf.minimum(tf.math.divide_no_nan(other_share * other_weight, mixed_weight), 1.0)
    mixed_label = _blend(label, tf.gather(label, partner), mass[:, tf.newaxis])
    return {"label": mixed_label, "weight": mixed_weight}


def _blend(one: tf.Tensor, other: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    # In this form equal values stay what they are, and values in [0, 1] stay there.
    return one + share * (other - one)


def _check(op: str, num_classes: int, alpha: float, probability: float) -> None:
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(f"{op}: num_classes={num_classes} must be a whole number, at least 2.")
    if not 0 < alpha < math.inf:
        raise ValueError(f"{op}: alpha={alpha} must be above 0 and finite.")
    check_share(op, probability=probability)
