"""Distillation: a student learns from the probabilities that a trained teacher gives.

Paper: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), section 2.

    loss = (1 - alpha) * loss(labels, student) + alpha * T^2 * H(softmax(teacher / T),
                                                                softmax(student / T))

H is the cross-entropy; T^2 keeps the gradients of both parts of one size whatever T is. Differs:
the teacher is one network, where the paper also distils ensembles.

The teacher has the best weights of its run folder, and sees the batch that the student sees,
augmented alike, in inference mode. Where it was trained on images that were standardised
otherwise, it gets them so. Its weights are in no checkpoint of the student; a run is not gone on
with if they have changed. `train/loss` is the objective; `val/loss` is that of the labels alone.

Command:   python -m trainer experiment=distillation trainer.teacher=RUN_DIR
           (a teacher: python -m trainer experiment=digits; it prints its folder)
Result:    accuracy 97.2, 96.9, 97.2 % on the held-out fifth (best; seeds 0, 1, 2); without the
           teacher (trainer=default) 96.9, 95.6, 96.4 %; the teacher itself 98.9 %
Hardware:  two CPU cores with AVX512-BF16, so that precision=auto is mixed_bfloat16
"""

import math
from pathlib import Path
from typing import Any

import tensorflow as tf

from trainer.data.data import labels_of, model_inputs
from trainer.data.feeds import Batch
from trainer.losses import is_integer
from trainer.trained_model import TrainedModel, load_trained
from trainer.trainer import Trainer


class DistillationTrainer(Trainer):
    """A `Trainer` that learns from the labels and from a teacher.

    Args:
        *args: as for `Trainer`; the data is of classes.
        teacher: a run folder, whose model takes what the student takes and knows its classes.
        temperature: T, above 0: how much the teacher's small probabilities count. The paper used
            1 to 20.
        alpha: the weight of the teacher's part, in [0, 1]. The paper gives the labels
            "considerably" less weight.
        **kwargs: as for `Trainer`.

    Raises:
        ValueError: if an argument is out of range, or teacher and student do not fit together.
    """

    def __init__(
        self,
        *args: Any,
        teacher: str | Path,
        temperature: float = 4.0,
        alpha: float = 0.9,
        **kwargs: Any,
    ) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature={temperature}: above 0, such as 4")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha}: the weight of the teacher's part, 0 <= alpha <= 1")
        self.temperature, self.alpha = temperature, alpha
        super().__init__(*args, **kwargs)
        with self.strategy.scope():
            self.teacher = load_trained(Path(teacher))
        self._check_teacher(teacher)

    @property
    def ingredients(self) -> dict[str, str]:
        """The teacher's weights."""
        return {"teacher": self.teacher.fingerprint}

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Learn from one replica's share of a batch; traced.

        Args:
            batch: `label` int32 [B] or soft, float32 [B, K], `weight` float32 [B], and inputs.

        Returns:
            Scalars; `label_loss` and `teacher_loss` are the two parts before they are weighted.
        """
        labels, weight = labels_of(batch), batch["weight"]
        targets = tf.nn.softmax(self._teacher_logits(batch) / self.temperature)
        with tf.GradientTape() as tape:
            logits = self.model(model_inputs(batch), training=True)
            of_labels = self.loss(labels, logits)  # [B]
            of_teacher = self.temperature**2 * tf.nn.softmax_cross_entropy_with_logits(
                targets, logits / self.temperature
            )
            losses = (1 - self.alpha) * of_labels + self.alpha * of_teacher
            penalty = self.penalty()
            loss = tf.reduce_mean(losses * weight) + penalty
            scaled_loss = self.updater.scaled(loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        gradient_norm = self.updater.take(gradients, variables)
        self.train_metrics.update(labels, logits, weight, losses + penalty)
        return {
            "loss": loss,
            "label_loss": tf.reduce_mean(of_labels * weight),
            "teacher_loss": tf.reduce_mean(of_teacher * weight),
            "learning_rate": learning_rate,
            "gradient_norm": gradient_norm,
        }

    def _teacher_logits(self, batch: Batch) -> tf.Tensor:
        """Return the teacher's logits, float32 [B, K]."""
        here, there = self.data.transform, self.teacher.transform
        if here.standardisation != there.standardisation:
            batch = there.standardise(here.unstandardise(batch))
        return tf.cast(self.teacher.model(model_inputs(batch), training=False), tf.float32)

    def _check_teacher(self, run_dir: str | Path) -> None:
        where, teacher, data = f"teacher={run_dir}", self.teacher, self.data
        for there, here, what in (
            (_shapes(teacher), {n: s.shape.as_list() for n, s in data.inputs.items()}, "inputs"),
            (len(teacher.class_names), len(data.class_names), "number of classes"),
            (teacher.class_names, data.class_names, "classes"),
        ):
            if there != here:
                raise ValueError(
                    f"{where}: its {what}: {there}, but this data's: {here}; "
                    "choose a teacher that was trained on such data"
                )
        batch = data.evaluated_batch()
        logits = self.model(model_inputs(batch), training=False)
        if isinstance(logits, dict) or logits.shape[-1] < 2 or not is_integer(labels_of(batch)):
            raise ValueError("distillation needs class numbers, and a model with a logit a class")
        if self._teacher_logits(batch).shape != logits.shape:
            raise ValueError(f"{where}: has not a logit a class, as the student has")


def _shapes(teacher: TrainedModel) -> dict[str, list[int]]:
    return {name: spec.shape.as_list() for name, spec in teacher.inputs.items()}
