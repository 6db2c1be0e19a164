"""Adversarial training: learn from images that were changed so as to be misclassified.

Papers: Madry et al. 2018 (arXiv 1706.06083), projected gradient descent (PGD); Goodfellow et al.
2015 (arXiv 1412.6572), the fast gradient sign method (FGSM), which is PGD of one step; Wong et al.
2020 (arXiv 2001.03994), why that step starts at a random point.

    x <- a random point within epsilon of the image
    num_steps times: x <- clip(x + step_size * sign(d loss / d x))

`clip` is to within epsilon of the image (the largest change of a pixel) and to [0, 1]. Epsilon and
step are in units of images in [0, 1], before standardisation. Differs: the attack sees the model in
inference mode (as in TRADES, arXiv 1901.08573), so that batch statistics stay those of the images
that are learnt from; learning is from attacked images alone, as Madry's, not also from clean ones,
as Goodfellow's.

`train/accuracy` is on attacked images, `val/accuracy` on clean ones, `val/robust_accuracy` on
attacked ones. Replicas, accumulation, bfloat16 and XLA work as in plain training. float16 loses
gradients below 6e-8, and pixels where these are lost stay where they are. A step costs about
1 + 2/3 num_steps plain ones.

Command:   python -m trainer experiment=adversarial
Result:    robust accuracy 66.7 % on the held-out fifth (epsilon 0.1), clean 95.8 %; plain
           training 26.9 % and 95.8 % (seed 0, one run each)
Hardware:  two CPU cores with AVX512-BF16, so that precision=auto is mixed_bfloat16
"""

import math
from typing import Any

import tensorflow as tf

from trainer.data.data import labels_of, model_inputs
from trainer.data.feeds import Batch
from trainer.losses import is_integer
from trainer.trainer import Trainer


class AdversarialTrainer(Trainer):
    """A `Trainer` that learns from attacked images, and scores on clean and attacked ones.

    Args:
        *args: as for `Trainer`; the data has an `image` and class numbers.
        epsilon: the largest change of a pixel, in (0, 1]; 8/255 is usual for colour photos.
        step_size: of a step of the attack, above 0; 2/255 is Madry's for CIFAR-10.
        num_steps: of the attack in training, at least 1; 1 is FGSM.
        num_test_steps: of the attack in an evaluation, whose steps are 2.5 epsilon / num_test_steps
            (as in Madry's section 5.1).
        random_start: whether attacks begin at a random point, and not at the image.
        **kwargs: as for `Trainer`.

    Raises:
        ValueError: if an argument is out of range, or the data has no images or class numbers.
    """

    scores = {"robust_accuracy": "max"}

    def __init__(
        self,
        *args: Any,
        epsilon: float = 8 / 255,
        step_size: float = 2 / 255,
        num_steps: int = 7,
        num_test_steps: int = 10,
        random_start: bool = True,
        **kwargs: Any,
    ) -> None:
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon={epsilon}: of images in [0, 1], 0 < epsilon <= 1")
        if not 0 < step_size < math.inf:
            raise ValueError(f"step_size={step_size}: of images in [0, 1], above 0")
        for name, count in (("num_steps", num_steps), ("num_test_steps", num_test_steps)):
            if count < 1:
                raise ValueError(f"{name}={count}: at least 1, which is FGSM")
        self.epsilon, self.step_size, self.random_start = epsilon, step_size, random_start
        self.num_steps, self.num_test_steps = num_steps, num_test_steps
        super().__init__(*args, **kwargs)
        batch = self.data.evaluated_batch()
        labels = labels_of(batch)
        if "image" not in batch or isinstance(labels, dict) or not is_integer(labels):
            raise ValueError(f"attacks need an image and class numbers; a batch has {list(batch)}")
        logits = self.model(model_inputs(batch), training=False)
        if isinstance(logits, dict) or logits.shape[-1] < 2:
            raise ValueError("robust accuracy needs a model with one output, a logit a class")

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Learn from one replica's share of a batch, attacked; traced."""
        return super().train_step(self._attacked(batch, self.num_steps, self.step_size))

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Score one replica's share of a batch, clean and attacked; traced."""
        values = super().test_step(batch)
        step_size = 2.5 * self.epsilon / self.num_test_steps
        attacked = self._attacked(batch, self.num_test_steps, step_size)
        logits = self.model(model_inputs(attacked), training=False)
        predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return values | {"robust_accuracy": tf.cast(predicted == labels_of(batch), tf.float32)}

    def _attacked(self, batch: Batch, num_steps: int, step_size: float) -> Batch:
        """Return the batch with images at which the loss is higher, float32 [B, H, W, C]."""
        transform = self.data.transform
        clean = transform.unstandardise(batch)["image"]
        low = tf.maximum(clean - self.epsilon, 0.0)
        high = tf.minimum(clean + self.epsilon, 1.0)

        def as_seen(images: tf.Tensor) -> Batch:
            return transform.standardise({**batch, "image": images})

        def climb(k: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                logits = self.model(model_inputs(as_seen(images)), training=False)
                losses = self.loss(
                    labels_of(batch), logits
                )  # [B]; each has its own image's gradient
            slopes = tf.sign(tape.gradient(losses, images))
            return k + 1, tf.clip_by_value(images + step_size * slopes, low, high)

        images = clean
        if self.random_start:
            uniform = tf.random.stateless_uniform(
                tf.shape(clean), self.random_key("attack"), -1.0, 1.0, alg="philox"
            )
            images = tf.clip_by_value(clean + self.epsilon * uniform, low, high)
        _, images = tf.while_loop(lambda k, _: k < num_steps, climb, (tf.constant(0), images))
        return as_seen(tf.stop_gradient(images))
