import keras
import numpy as np
import pytest
import tensorflow as tf
from test_writers import events
from toy import toy_trainer, weights

from experiments.dcgan import DCGANTrainer, energy_distance
from models.dcgan import DCGAN
from trainer import ParameterGroups, distribution
from trainer.data.data import Data

BATCH_SIZE, LATENT_SIZE = 4, 3
BCE = keras.losses.BinaryCrossentropy(from_logits=True)


def image_data():
    rng = np.random.default_rng(0)
    images, labels = rng.random((16, 8, 8, 1), "float32"), np.arange(16, dtype="int32") % 10
    return Data(train=(images, labels), val=(images[:6], labels[:6]), batch_size=BATCH_SIZE)


def two_optimizers(discriminator, generator):
    return ParameterGroups(discriminator, {"*generator/*": generator})


def gan_trainer(run_dir=None, strategy=None, **arguments):
    keras.utils.set_random_seed(0)
    strategy = strategy or distribution.single_device()
    with strategy.scope():
        defaults = {
            "metrics": {},
            "model": DCGAN(LATENT_SIZE, width=4, max_stages=1),
            "optimizer": two_optimizers(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.02)),
        }
        return toy_trainer(
            arguments.pop("kind", DCGANTrainer), data=image_data(), loss=BCE, run_dir=run_dir,
            strategy=strategy, num_samples=5, **defaults | arguments,
        )  # fmt: skip


@keras.saving.register_keras_serializable()
class LinearGAN(keras.Model):
    """Two matrices, so that both gradients are one line each."""

    def __init__(self):
        super().__init__()
        self.latent_size = LATENT_SIZE
        self.generator = _dense(64, "generator")
        self.discriminator = _dense(1, "discriminator")

    def build(self, input_shape):
        self.generator.build((None, LATENT_SIZE))
        self.discriminator.build((None, 64))

    def call(self, inputs, training=False):
        return self.discriminator(tf.reshape(inputs, [-1, 64]))

    def generate(self, noise, training=False):
        return tf.reshape(self.generator(noise), [-1, 8, 8, 1])


def _dense(units, name):
    return keras.Sequential([keras.layers.Dense(units, use_bias=False)], name=name)


class FixedNoise(DCGANTrainer):
    def noise(self, images):
        return tf.constant(NOISE)


NOISE = np.random.default_rng(1).normal(size=(BATCH_SIZE, LATENT_SIZE)).astype("float32")


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_each_network_takes_a_step_of_its_own_down_its_own_loss():
    optimizer = two_optimizers(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.5))
    trainer = gan_trainer(kind=FixedNoise, model=LinearGAN(), optimizer=optimizer)
    v, w = weights(trainer)  # [LATENT_SIZE, 64], [64, 1]
    x = trainer.data.example_batch()["image"].numpy().reshape(-1, 64)
    scalars = trainer.train_chunk(0, 1)

    g = NOISE @ v
    real, fake = x @ w, g @ w
    bce = {1: lambda logit: np.log1p(np.exp(-logit)), 0: lambda logit: np.log1p(np.exp(logit))}
    assert scalars["discriminator_loss"][0] == pytest.approx(
        bce[1](real).mean() + bce[0](fake).mean(), rel=1e-5
    )
    assert scalars["generator_loss"][0] == pytest.approx(bce[1](fake).mean(), rel=1e-5)
    # The derivative of the loss by the logit is sigmoid(logit) - label.
    w_gradient = (x.T @ (sigmoid(real) - 1) + g.T @ sigmoid(fake)) / BATCH_SIZE
    v_gradient = NOISE.T @ (sigmoid(fake) - 1) @ w.T / BATCH_SIZE
    new_v, new_w = weights(trainer)
    np.testing.assert_allclose(new_w, w - 0.1 * w_gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(new_v, v - 0.5 * v_gradient, rtol=1e-4, atol=1e-6)


def test_metrics_see_real_images_as_1_and_generated_ones_as_0():
    class Recorded(keras.metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.ones = self.add_weight(name="ones", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, labels, logits, sample_weight=None):
            self.ones.assign_add(tf.reduce_sum(tf.cast(labels, tf.float32) * sample_weight))
            self.count.assign_add(tf.reduce_sum(sample_weight))

        def result(self):
            return 1000 * self.ones + self.count

    trainer = gan_trainer(model=LinearGAN(), metrics={"recorded": Recorded()})
    assert trainer.evaluate("val")["recorded"] == 6012  # 6 real images of 12


def test_noise_differs_from_step_to_step_and_not_from_run_to_run():
    class Kept(DCGANTrainer):
        def train_step(self, batch):
            noise = self.noise(batch["image"])
            return super().train_step(batch) | {"first_noise": noise[0, 0]}

    trainers = [gan_trainer(kind=Kept, model=LinearGAN()) for _ in range(2)]
    first, second = (trainer.train_chunk(0, 3)["first_noise"] for trainer in trainers)
    assert len(set(first.tolist())) == 3
    np.testing.assert_array_equal(first, second)


def test_an_evaluation_draws_the_same_noise_each_time():
    trainer = gan_trainer(model=LinearGAN())
    first = trainer.evaluate("val")
    assert set(first) == {"loss", "energy_distance"}
    assert trainer.evaluate("val") == first


def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(tmp_path):
    whole = gan_trainer(tmp_path / "whole")
    whole.fit("6st")
    gan_trainer(tmp_path / "parts").fit("3st")
    parts = gan_trainer(tmp_path / "parts")
    parts.fit("6st")
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_of_every_epoch_are_written_and_come_from_the_same_noise(tmp_path):
    trainer = gan_trainer(tmp_path, model=LinearGAN())
    trainer.fit("2ep")
    assert [step for step, _ in events(tmp_path / "train")["samples"]] == [4, 8]
    samples = trainer.callbacks[-1].samples()
    assert samples.shape == (5, 8, 8, 1)
    assert samples.dtype == np.uint8
    np.testing.assert_array_equal(trainer.callbacks[-1].samples(), samples)
    assert len(np.unique(samples, axis=0)) == 5


def test_a_step_runs_on_two_replicas():
    strategy = distribution.mirrored(2)
    with strategy.scope():
        model = LinearGAN()
    scalars = gan_trainer(strategy=strategy, model=model).train_chunk(0, 2)
    assert all(np.isfinite(values).all() for values in scalars.values())


def test_a_step_runs_in_bfloat16():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = gan_trainer()
        before = weights(trainer)
        scalars = trainer.train_chunk(0, 2)
    finally:
        keras.config.set_dtype_policy(policy)
    assert all(np.isfinite(values).all() for values in scalars.values())
    assert all((a != b).any() for a, b in zip(before, weights(trainer), strict=True))


def test_another_model_is_refused():
    with pytest.raises(ValueError, match=r"^model=Sequential: .* use model=dcgan$"):
        gan_trainer(model=keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match=r"^trainer.num_samples=0: at least 1$"):
        DCGANTrainer(DCGAN(), num_samples=0)


def test_energy_distance_by_its_definition():
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 2, 3)) + 1.0
    weight = np.array([1, 1, 1, 1, 0])
    found = energy_distance(*(tf.constant(a, tf.float32) for a in (x, g, weight)))

    def mean(a, b):
        pairs = [(i, j) for i in range(4) for j in range(4) if a is not b or i != j]
        return np.mean([np.linalg.norm(a[i] - b[j]) for i, j in pairs])

    expected = 2 * mean(x, g) - mean(x, x) - mean(g, g)
    assert np.average(found, weights=weight) == pytest.approx(expected, rel=1e-5)
