import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, NUM_CLASSES, images

from trainer.data.augment import CutMix, Mixup
from trainer.data.augment.draws import symmetric_beta
from trainer.losses import CrossEntropy

OPS = [Mixup(NUM_CLASSES), CutMix(NUM_CLASSES, probability=1)]
both = pytest.mark.parametrize("op", OPS, ids=["mixup", "cutmix"])
compiled_or_not = pytest.mark.parametrize("jit", [False, True])


def marked(size):
    """Images that are all one value each, 2^-k, and the labels 0, 1, ... of as many classes."""
    image = np.broadcast_to(0.5 ** np.arange(size)[:, None, None, None], (size, 8, 8, 1))
    return {
        "image": tf.constant(image, tf.float32),
        "label": tf.range(size),
        "weight": tf.ones(size),
    }


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1, 4, 100])
@compiled_or_not
def test_shares_have_the_beta_distribution(alpha, jit):
    def draw():
        drawn = tf.random.stateless_uniform([2, 40_000], KEY, alg="philox")
        return symmetric_beta(alpha, drawn[0], drawn[1])

    share = tf.function(draw, jit_compile=jit)().numpy()
    assert np.isfinite(share).all() and share.min() >= 0 and share.max() <= 1
    assert share.mean() == pytest.approx(0.5, abs=0.01)
    assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    reference = np.random.default_rng(0).beta(alpha, alpha, 40_000)
    levels = np.linspace(0.001, 0.999, 50)
    cumulative = [(values[:, None] <= levels).mean(0) for values in (share, reference)]
    np.testing.assert_allclose(*cumulative, atol=0.015)  # four standard deviations


def test_extreme_draws_give_finite_shares():
    edges = tf.constant([0.0, 0.25, 0.5, 0.75, 1 - 2**-23])
    first, second = (tf.reshape(grid, [-1]) for grid in tf.meshgrid(edges, edges))
    for alpha in (1e-3, 1.0, 1e3):
        assert np.isfinite(symmetric_beta(alpha, first, second)).all()


@compiled_or_not
def test_mixup_blends_images_as_it_does_labels(jit):
    batch = marked(12)
    out = tf.function(Mixup(12), jit_compile=jit)(batch, KEY)
    label = out["label"].numpy()
    np.testing.assert_allclose(label.sum(1), 1, rtol=1e-6)
    assert ((label > 0).sum(1) <= 2).all() and ((label > 0).sum(1) == 2).sum() >= 6
    expected = label @ batch["image"].numpy().reshape(12, -1)
    np.testing.assert_allclose(out["image"].numpy().reshape(12, -1), expected, atol=1e-6)
    np.testing.assert_array_equal(out["weight"], np.ones(12))


@compiled_or_not
def test_cutmix_pastes_one_box_and_mixes_labels_by_its_area(jit):
    batch = marked(40)
    out = tf.function(CutMix(40, probability=1), jit_compile=jit)(batch, KEY)
    values = batch["image"].numpy()[:, 0, 0, 0]
    num_pasted = 0
    for k, image in enumerate(out["image"].numpy()[..., 0]):
        pasted = image != values[k]
        share = np.array([(image == value).mean() for value in values])
        np.testing.assert_allclose(out["label"][k], share, atol=1e-6)
        rows, columns = pasted.any(1).nonzero()[0], pasted.any(0).nonzero()[0]
        if pasted.any():
            num_pasted += 1
            box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert np.ptp(box) == 0 and box.size == pasted.sum()
    assert num_pasted >= 30


@both
def test_every_other_example_is_the_partner_about_equally_often(op):
    mix, batch = tf.function(type(op)(3, probability=1)), marked(3)
    shares = np.mean([mix(batch, tf.add(KEY, [0, k]))["label"] for k in range(600)], axis=0)
    of_others = shares[~np.eye(3, dtype=bool)]
    assert of_others.mean() > 0.1
    np.testing.assert_allclose(of_others, of_others.mean(), atol=0.05)  # four standard deviations


@both
def test_about_the_given_share_of_examples_is_mixed(op):
    batch = images(2000)
    out = type(op)(NUM_CLASSES, probability=0.3)(batch, KEY)["image"].numpy()
    changed = (out != batch["image"].numpy()).any((1, 2, 3)).mean()
    assert changed == pytest.approx(0.3, abs=0.05)
    never = type(op)(NUM_CLASSES, probability=0)(batch, KEY)
    np.testing.assert_array_equal(never["image"], batch["image"])
    np.testing.assert_array_equal(never["label"], np.eye(NUM_CLASSES)[batch["label"]])


@both
def test_weighted_losses_are_mixed_as_the_examples_are(op):
    batch = images(16)
    batch["weight"] = tf.constant(np.random.default_rng(1).uniform(size=16), tf.float32)
    batch["weight"] *= tf.cast(tf.range(16) % 4 > 0, tf.float32)
    logits = tf.constant(np.random.default_rng(2).normal(size=(16, NUM_CLASSES)), tf.float32)
    out = op(batch, KEY)
    got = CrossEntropy()(out["label"], logits) * out["weight"]

    one_each = images(16) | {"label": tf.eye(16)}
    share = op(one_each, KEY)["label"].numpy()  # [16, 16]: how much of whom is in whom
    losses = np.stack([CrossEntropy()(tf.fill([16], y), logits) for y in batch["label"]], axis=1)
    np.testing.assert_allclose(
        got, (share * batch["weight"].numpy() * losses).sum(1), rtol=1e-4, atol=1e-6
    )


@both
def test_a_label_outside_the_classes_is_not_silent(op):
    batch = images() | {"label": tf.fill([16], NUM_CLASSES)}
    with pytest.raises(tf.errors.InvalidArgumentError):
        op(batch, KEY)


@pytest.mark.parametrize("op", [Mixup, CutMix])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "num_classes=1 must be a whole number, at least 2"),
        ({"num_classes": 10, "alpha": 0}, "alpha=0 must be above 0"),
        ({"num_classes": 10, "alpha": float("nan")}, "alpha=nan must be above 0"),
        ({"num_classes": 10, "probability": 2}, "probability=2 must lie between 0 and 1"),
    ],
)
def test_other_arguments_are_refused(op, arguments, message):
    with pytest.raises(ValueError, match=f"{op.__name__}: {message}"):
        op(**arguments)
