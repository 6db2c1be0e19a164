import keras
import numpy as np
import pytest
import tensorflow as tf
from test_run import train
from toy import toy_trainer, weights

from experiments.simclr import SimCLR, encoder_of, nt_xent_logits
from models.contrastive import ContrastiveModel, LinearProbe
from models.mlp import MLP
from trainer import distribution
from trainer.data.augment import RandomBrightnessContrast
from trainer.data.data import Data
from trainer.losses import CrossEntropy

TEMPERATURE = 0.3
VIEWS = {"colour": RandomBrightnessContrast(0.2, 0.4), "more": RandomBrightnessContrast(0.1, 0)}


def image_data():
    rng = np.random.default_rng(0)
    images, labels = rng.random((16, 8, 8, 1), "float32"), np.arange(16, dtype="int32") % 10
    return Data(train=(images, labels), val=(images[:6], labels[:6]), batch_size=4)


def simclr_trainer(run_dir=None, strategy=None, **arguments):
    keras.utils.set_random_seed(0)
    strategy = strategy or distribution.single_device()
    with strategy.scope():
        encoder = MLP(10, hidden_units=[32], dropout=0.1)
        defaults = {
            "model": ContrastiveModel(encoder, hidden_units=16, projection_units=8),
            "optimizer": keras.optimizers.Adam(0.01),
            "loss": CrossEntropy(),
            "views": VIEWS,
        }
        return toy_trainer(
            SimCLR, data=image_data(), run_dir=run_dir, strategy=strategy,
            **defaults | arguments,
        )  # fmt: skip


def nt_xent(z, is_real):
    """The paper's algorithm 1, term by term, but with padding left out."""
    n = len(z) // 2
    similarity = z @ z.T / np.outer(np.linalg.norm(z, axis=1), np.linalg.norm(z, axis=1))
    losses = []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = [np.exp(similarity[i, k] / TEMPERATURE) for k in range(2 * n)
                  if k != i and is_real[k]]  # fmt: skip
        losses.append(-np.log(np.exp(similarity[i, j] / TEMPERATURE) / sum(others)))
    return np.array(losses)


@pytest.mark.parametrize("num_padding", [0, 2])
def test_the_loss_is_nt_xent(num_padding):
    z = np.random.default_rng(0).normal(size=(10, 3)) * 4
    is_real = np.tile(np.arange(5) < 5 - num_padding, 2)
    weight = tf.constant(is_real, tf.float32)
    labels, logits = nt_xent_logits(tf.constant(z, tf.float32), weight, TEMPERATURE)
    losses = CrossEntropy()(labels, logits).numpy()
    np.testing.assert_allclose(losses[is_real], nt_xent(z, is_real)[is_real], rtol=1e-5)


def test_two_replicas_have_the_loss_and_the_gradient_of_one_device():
    z = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    whole = tf.Variable(z)
    with tf.GradientTape() as tape:
        labels, logits = nt_xent_logits(whole, tf.ones(8), TEMPERATURE)
        expected = CrossEntropy()(labels, logits)
        mean = tf.reduce_mean(expected)
    gradient = tape.gradient(mean, whole).numpy()

    strategy = distribution.mirrored(2)
    # Images 0 and 1 are on the first replica, first views before second ones; 2 and 3 on the other.
    shares = [[0, 1, 4, 5], [2, 3, 6, 7]]
    with strategy.scope():
        shift = tf.Variable(tf.zeros(3))

    @tf.function
    def on_replica():
        context = tf.distribute.get_replica_context()
        share = tf.gather(z, tf.gather(shares, context.replica_id_in_sync_group))
        with tf.GradientTape() as tape:
            labels, logits = nt_xent_logits(share + shift, tf.ones(4), TEMPERATURE)
            losses = CrossEntropy()(labels, logits)
            loss = tf.reduce_mean(losses)
        return losses, distribution.mean_over_replicas(tape.gradient(loss, shift))

    losses, gradients = strategy.run(on_replica)
    for found, share in zip(strategy.experimental_local_results(losses), shares, strict=True):
        np.testing.assert_allclose(found, expected.numpy()[share], rtol=1e-5)
    for found in strategy.experimental_local_results(gradients):
        np.testing.assert_allclose(found, gradient.sum(axis=0), rtol=1e-4, atol=1e-6)


class KeptViews(SimCLR):
    """Returns the pixels of one image's two views as scalars."""

    def train_step(self, batch):
        views = self.two_views(batch["image"])
        pixels = {"original": batch["image"][0, 3, 3, 0], "first": views[0, 3, 3, 0],
                  "second": views[len(batch["image"]), 3, 3, 0]}  # fmt: skip
        return super().train_step(batch) | pixels


def test_views_differ_from_each_other_and_from_step_to_step_and_not_from_run_to_run():
    runs = []
    for _ in range(2):
        trainer = simclr_trainer()
        trainer.__class__ = KeptViews
        runs.append(trainer.train_chunk(0, 3))
    pixels = [float(runs[0][name][k]) for name in ("original", "first", "second") for k in range(3)]
    assert len(set(pixels)) == 9
    for name in runs[0]:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_an_evaluation_makes_the_same_views_each_time():
    trainer = simclr_trainer()
    first = trainer.evaluate("val")
    assert set(first) == {"loss", "accuracy"}
    assert trainer.evaluate("val") == first


def test_training_makes_views_find_each_other():
    losses = simclr_trainer().train_chunk(0, 100)["loss"]
    assert losses[-20:].mean() < 0.8 * losses[:10].mean()


def test_a_run_taken_up_again_ends_as_one_that_was_never_stopped(tmp_path):
    whole = simclr_trainer(tmp_path / "whole")
    whole.fit("6st")
    simclr_trainer(tmp_path / "parts").fit("3st")
    parts = simclr_trainer(tmp_path / "parts")
    parts.fit("6st")
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_runs_in_bfloat16_and_on_two_replicas():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = simclr_trainer(strategy=distribution.mirrored(2))
        scalars = trainer.train_chunk(0, 2)
    finally:
        keras.config.set_dtype_policy(policy)
    assert all(np.isfinite(values).all() for values in scalars.values())


def test_a_probe_learns_on_the_encoder_of_a_run_and_leaves_it_alone(tmp_path):
    words = ["data.limit=64", "duration=2st", "callbacks=default"]
    encoder = ["experiment=simclr", "model=simclr", "model@model.encoder=mlp"]
    assert train(tmp_path / "simclr", *encoder, *words) == 0
    run_dir = f"model.encoder.run_dir={tmp_path / 'simclr'}"
    assert (
        train(tmp_path / "probe", "experiment=linear_probe", "model=linear_probe", run_dir, *words)
        == 0
    )
    trained, left = encoder_of(str(tmp_path / "simclr")), encoder_of(str(tmp_path / "simclr"))
    probe = LinearProbe(10, trained)
    images = image_data().example_batch()["image"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(probe(images, training=True) ** 2)
    assert [v.path.split("/")[-2] for v in probe.trainable_variables] == ["logits", "logits"]
    assert all(
        g is not None for g in tape.gradient(loss, [v.value for v in probe.trainable_weights])
    )
    for a, b in zip(trained.variables, left.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_of_another_rule_is_refused(tmp_path):
    assert train(tmp_path / "plain", "duration=1st", "model=mlp") == 0
    with pytest.raises(ValueError, match=r"its model MLP has no encoder; give the folder of a run"):
        encoder_of(str(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, r"^trainer.temperature=0.0: above 0, such as 0.5$"),
        ({"views": {}}, r"^trainer.views=\{\}: without augmentations both views are the same$"),
        ({"loss": CrossEntropy(0.1)}, r"^loss: SimCLR smooths no labels; use loss=cross_entropy$"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simclr_trainer(**arguments)
