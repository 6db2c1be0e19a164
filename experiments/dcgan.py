"""DCGAN: a generator learns to make images that a discriminator takes for real ones.

Radford et al. 2015 (arXiv 1511.06434), after Goodfellow et al. 2014 (arXiv 1406.2661):

    discriminator:  loss(real, D(x)) + loss(generated, D(G(z)))
    generator:      loss(real, D(G(z)))                          (the non-saturating form)

Each network has an optimizer of its own (`optimizer=dcgan`), and its gradients come from its own
loss alone. Both learn at once from one forward pass, as in TensorFlow's DCGAN tutorial, where the
paper's code takes turns. The loss is any for one logit: `binary_cross_entropy` is the paper's, and
`mse` is that of the least squares GAN (arXiv 1611.04076).

    python -m trainer experiment=dcgan
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.data.feeds import Batch
from trainer.metrics import MetricSet
from trainer.report.image_grid import grid
from trainer.trainer import Trainer


class DCGANTrainer(Trainer):
    """Trains a generator and a discriminator against each other.

    Labels of the data are not used. To the loss and the metrics, 1 is a real image and 0 a
    generated one, so that an accuracy is that of the discriminator.

    Args:
        *args: As for `Trainer`. The model is a discriminator `call(images) -> logits [B, 1]` with
            `generate(noise [B, latent_size]) -> images`, and has `generator` and `discriminator`.
        num_samples: how many images are written to TensorBoard after every epoch, at least 1, from
            the same noise each time.
        **kwargs: As for `Trainer`.

    Raises:
        ValueError: if the model is another one.
    """

    scores: Mapping[str, str] = {"energy_distance": "min"}
    labels_are_classes = False  # but real and generated

    def __init__(
        self,
        model: keras.Model,
        *args: Any,
        num_samples: int = 64,
        **kwargs: Any,
    ) -> None:
        if not hasattr(model, "generate"):
            raise ValueError(
                f"model={type(model).__name__}: trainer=dcgan needs a generator and a "
                "discriminator; use model=dcgan"
            )
        kwargs["callbacks"] = [*kwargs.get("callbacks", ()), SampleImages(num_samples)]
        super().__init__(model, *args, **kwargs)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Improve each network against the other on one replica's share of a batch; traced."""
        images, weight = batch["image"], batch["weight"]
        ones, zeros = tf.ones_like(weight, tf.int32), tf.zeros_like(weight, tf.int32)
        with tf.GradientTape(persistent=True) as tape:
            generated = self.model.generate(self.noise(images), training=True)
            real_logits = self.model(images, training=True)  # [B, 1]
            fake_logits = self.model(generated, training=True)
            real_losses = self.loss(ones, real_logits)  # [B]
            fake_losses = self.loss(zeros, fake_logits)
            discriminator_loss = tf.reduce_mean(real_losses * weight + fake_losses)
            generator_loss = tf.reduce_mean(self.loss(ones, fake_logits))
            scaled_discriminator_loss = self.updater.scaled(discriminator_loss)
            scaled_generator_loss = self.updater.scaled(generator_loss)
        discriminating = self.model.discriminator.trainable_variables
        generating = self.model.generator.trainable_variables
        gradients = tape.gradient(scaled_discriminator_loss, discriminating)
        gradients += tape.gradient(scaled_generator_loss, generating)
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        gradient_norm = self.updater.take(gradients, [*discriminating, *generating])
        self.train_metrics.update(
            tf.concat([ones, zeros], 0),
            tf.concat([real_logits, fake_logits], 0),
            tf.concat([weight, tf.ones_like(weight)], 0),
            tf.concat([real_losses, fake_losses], 0),
        )
        return {
            "loss": discriminator_loss + generator_loss,
            "discriminator_loss": discriminator_loss,
            "generator_loss": generator_loss,
            "learning_rate": learning_rate,
            "gradient_norm": gradient_norm,
        }

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Score as many generated images as real ones; traced.

        Neither network's loss says how good the images are, since the other one changes too; the
        distance to the real images does, for images as small as these.
        """
        images, weight = batch["image"], batch["weight"]
        generated = self.model.generate(self.noise(images), training=False)
        logits = self.model(tf.concat([images, generated], 0), training=False)
        labels = tf.concat([tf.ones_like(weight, tf.int32), tf.zeros_like(weight, tf.int32)], 0)
        weights = tf.concat([weight, weight], 0)
        self.test_metrics.update(labels, logits, weights, self.loss(labels, logits))
        return {"energy_distance": energy_distance(images, generated, weight)}

    def try_out(self, batch: Batch, metrics: MetricSet) -> None:
        """Run discriminator, loss and metrics on a batch, whatever its labels; eager.

        Raises:
            ValueError: If there are no images, or they are standardised.
        """
        if "image" not in batch:
            raise ValueError(f"DCGAN needs an image; a batch has {', '.join(batch)}")
        if self.data.transform.standardisation:
            raise ValueError("images are made in [0, 1]; set data.standardise=none")
        super().try_out({**batch, "label": tf.ones_like(batch["weight"], tf.int32)}, metrics)

    def noise(self, images: tf.Tensor) -> tf.Tensor:
        """Return standard normal noise for as many images, float32 [B, latent_size]."""
        shape = [tf.shape(images)[0], self.model.latent_size]
        return tf.random.stateless_normal(shape, self.random_key("noise"), alg="philox")


class SampleImages(TrainerCallback):
    """Writes generated images after every epoch, from the same noise, so that they compare.

    Args:
        num_images: how many, at least 1.
    """

    def __init__(self, num_images: int) -> None:
        super().__init__()
        if num_images < 1:
            raise ValueError(f"trainer.num_samples={num_images}: at least 1")
        self._num_images = num_images

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write one picture of them all."""
        if self.trainer.writer and self.trainer.data.has_images:
            with self.trainer.updater.averaged_weights():  # as in an evaluation
                samples = self.samples()
            self.trainer.writer.images("samples", grid(samples)[None], self.trainer.step)

    def samples(self) -> np.ndarray:
        """Return the generated images, uint8 [num_images, H, W, C]."""
        model = self.trainer.model
        rng = np.random.default_rng(self.trainer.data.seed)
        noise = rng.standard_normal((self._num_images, model.latent_size), np.float32)
        images = model.generate(tf.constant(noise), training=False)
        return np.round(255 * images.numpy()).astype(np.uint8)


def energy_distance(real: tf.Tensor, generated: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return each example's part in the energy distance of two sets of images.

    `2 E|x - g| - E|x - x'| - E|g - g'|` (Szekely and Rizzo 2013), x and g being a real and a
    generated image as vectors. It is 0 where their distributions are the same, and above 0
    elsewhere; the estimate, the mean of what is returned, may fall a little below.

    Args:
        real: float32 [B, ...].
        generated: float32 [B, ...].
        weight: float32 [B], 0 on padding.

    Returns:
        float32 [B].
    """
    others = weight * (1.0 - tf.eye(tf.shape(weight)[0]))  # [B, B], no image beside itself

    def mean_distance(a: tf.Tensor, b: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        a, b = (tf.reshape(x, [tf.shape(x)[0], -1]) for x in (a, b))
        squares = tf.reduce_sum(a * a, axis=1)[:, tf.newaxis] + tf.reduce_sum(b * b, axis=1)
        # Rounding may leave a little less than 0.
        distances = tf.sqrt(tf.nn.relu(squares - 2.0 * tf.matmul(a, b, transpose_b=True)))
        total = tf.reduce_sum(weights, axis=1)
        return tf.math.divide_no_nan(tf.reduce_sum(distances * weights, axis=1), total)

    across = mean_distance(real, generated, weight * tf.ones_like(others))
    return (
        2.0 * across
        - mean_distance(real, real, others)
        - mean_distance(generated, generated, others)
    )
