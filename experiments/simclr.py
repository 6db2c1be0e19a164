"""SimCLR: an encoder learns without labels which two views are of the same image.

Chen et al. 2020 (arXiv 2002.05709), algorithm 1. Of each image two views are made by random
augmentations; each view has to find the other one of its image among all views in the batch, by
the cosine of their projections. The loss, NT-Xent, is cross-entropy with cosine / temperature as
logits and the place of the other view as label. So `loss=cross_entropy` it is, and an accuracy is
the share of views that find the other one.

What was learnt is measured by a linear probe: a linear classifier, trained with labels, on the
representation before the projection head, with the encoder as it is.

Differs from the paper: any optimizer, where it has LARS for its batches of 4,096; views are lists
of this project's augmentations, without grey, hue and blur.

    python -m trainer experiment=simclr
    python -m trainer experiment=linear_probe model.encoder.run_dir=RUN_DIR
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.data.feeds import Batch
from trainer.data.transform import Augmentation
from trainer.losses import PerExampleLoss
from trainer.metrics import MetricSet
from trainer.trained_model import load_trained
from trainer.trainer import Trainer

EXCLUDED = -1e9
"""A logit whose exponential is 0."""


class SimCLR(Trainer):
    """Trains a model by the agreement of two views of each image.

    Under several replicas each view is compared with those of all of them.

    Args:
        model: images in [0, 1] to projections, float32 [B, D].
        loss: `(labels int32 [2B], logits float32 [2B, N]) -> float32 [2B]`; the paper's is
            cross-entropy.
        *args: As for `Trainer`.
        views: name to augmentation, applied in this order, to each view with numbers of its own.
        temperature: by which cosines are divided, above 0. The paper's 0.5 is best for CIFAR-10.
        **kwargs: As for `Trainer`.

    Raises:
        ValueError: if the temperature is out of range, there are no views to make, or the loss
            smooths labels, which would spread them over the views that are left out.
    """

    labels_are_classes = False  # but the places of other views

    def __init__(
        self,
        model: keras.Model,
        loss: PerExampleLoss,
        *args: Any,
        views: Mapping[str, Augmentation],
        temperature: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if not temperature > 0:
            raise ValueError(f"trainer.temperature={temperature}: above 0, such as 0.5")
        if not views:
            raise ValueError("trainer.views={}: without augmentations both views are the same")
        self.views = dict(views)
        self.temperature = temperature
        if getattr(loss, "label_smoothing", 0):
            raise ValueError("loss: SimCLR smooths no labels; use loss=cross_entropy")
        super().__init__(model, loss, *args, **kwargs)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Learn from one replica's share of a batch; traced."""
        weight = tf.tile(batch["weight"], [2])  # [2B]
        with tf.GradientTape() as tape:
            projections = self.model(self.two_views(batch["image"]), training=True)
            labels, logits = nt_xent_logits(projections, weight, self.temperature)
            losses = self.loss(labels, logits)  # [2B]
            penalty = self.penalty()
            loss = tf.reduce_mean(losses * weight) + penalty
            scaled_loss = self.updater.scaled(loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        gradient_norm = self.updater.take(gradients, variables)
        self.train_metrics.update(labels, logits, weight, losses + penalty)
        return {"loss": loss, "learning_rate": learning_rate, "gradient_norm": gradient_norm}

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Score one replica's share of a batch, by two views of each image as well; traced."""
        weight = tf.tile(batch["weight"], [2])
        projections = self.model(self.two_views(batch["image"]), training=False)
        labels, logits = nt_xent_logits(projections, weight, self.temperature)
        self.test_metrics.update(labels, logits, weight, self.loss(labels, logits) + self.penalty())
        return {}

    def try_out(self, batch: Batch, metrics: MetricSet) -> None:
        """Run model, loss and metrics on two images as if they were views of one; eager.

        Raises:
            ValueError: If there are no images, or they are standardised.
        """
        if "image" not in batch:
            raise ValueError(f"SimCLR needs an image; a batch has {', '.join(batch)}")
        if self.data.transform.standardisation:
            raise ValueError("views are made of images in [0, 1]; set data.standardise=none")
        projections = self.model(batch["image"], training=False)
        labels, logits = tf.constant([1, 0]), tf.matmul(projections, projections, transpose_b=True)
        metrics.try_out(labels, logits, batch["weight"], self.loss(labels, logits))

    def two_views(self, images: tf.Tensor) -> tf.Tensor:
        """Return the first views of all images, then the second ones, float32 [2B, H, W, C]."""
        return tf.concat([self._view("first", images), self._view("second", images)], axis=0)

    def _view(self, which: str, images: tf.Tensor) -> tf.Tensor:
        view = {"image": images}
        for name, operation in self.views.items():
            view = operation(view, self.random_key(f"{which} view/{name}"))
        return view["image"]


def nt_xent_logits(
    projections: tf.Tensor, weight: tf.Tensor, temperature: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels and the logits whose cross-entropy is NT-Xent; traced.

    Args:
        projections: float32 [2B, D], those of the second views in the second half.
        weight: float32 [2B], 0 on padding, which no view is compared with.
        temperature: by which cosines are divided.

    Returns:
        labels: int32 [2B], the place of the other view of the same image.
        logits: float32 [2B, 2B * replicas], the views of all replicas being one after the other.
    """
    views = tf.math.l2_normalize(projections, axis=-1)
    others, weights, replica = views, weight, 0
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        others, weights = context.all_gather(views, axis=0), context.all_gather(weight, axis=0)
        replica = context.replica_id_in_sync_group
    num_views = tf.shape(views)[0]
    place = replica * num_views + tf.range(num_views)  # of each view itself
    labels = replica * num_views + (tf.range(num_views) + num_views // 2) % num_views
    logits = tf.matmul(views, others, transpose_b=True) / temperature
    is_itself = place[:, tf.newaxis] == tf.range(tf.shape(others)[0])
    return labels, tf.where(is_itself | (weights == 0), EXCLUDED, logits)


def encoder_of(run_dir: str) -> keras.Model:
    """Return the encoder that a run of this rule has trained, at its best, for a linear probe.

    Args:
        run_dir: its run folder.

    Raises:
        ValueError: if it is no run folder, or its model has no encoder.
    """
    model = load_trained(Path(run_dir)).model
    if not hasattr(model, "encoder"):
        raise ValueError(
            f"run_dir={run_dir}: its model {type(model).__name__} has no encoder; give the folder "
            "of a run of experiment=simclr"
        )
    return model.encoder
