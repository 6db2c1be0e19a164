import numpy as np
import pytest
import tensorflow as tf

from trainer.data.augment import PaddedCrop, RandomFlip

KEY = tf.constant([3, 2**40], tf.int64)
OPS = [RandomFlip(), PaddedCrop(4), PaddedCrop(2, mode="zero")]
ids = [f"{type(op).__name__}-{getattr(op, 'mode', '')}" for op in OPS]


def make_batch(size=16, height=8, width=6, channels=3):
    shape = (size, height, width, channels)
    image = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    return {
        "image": tf.constant(image),
        "label": tf.range(size),
        "weight": tf.ones(size),
    }


def padded_crops(image, padding, mode):
    """All crops of one padded image, by NumPy: [(2p+1)^2, H, W, C]."""
    height, width, _ = image.shape
    pad = [(padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(image, pad, mode="reflect" if mode == "reflect" else "constant")
    offsets = range(2 * padding + 1)
    return np.stack([padded[y : y + height, x : x + width] for y in offsets for x in offsets])


@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize(("padding", "height", "width"), [(1, 8, 6), (4, 8, 6), (5, 6, 9)])
def test_padded_crop_is_a_crop_of_numpys_padding(mode, padding, height, width):
    batch = make_batch(32, height, width)
    cropped = PaddedCrop(padding, mode)(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), cropped, strict=True):
        assert (padded_crops(before, padding, mode) == after).all((1, 2, 3)).any()


def test_padded_crop_zero_may_pad_beyond_the_image():
    batch = make_batch(64, 2, 2)
    cropped = PaddedCrop(3, "zero")(batch, KEY)["image"].numpy()
    for before, after in zip(batch["image"].numpy(), cropped, strict=True):
        assert (padded_crops(before, 3, "zero") == after).all((1, 2, 3)).any()


def test_padded_crop_reaches_every_place_about_equally_often():
    image = tf.tile(make_batch(1, 4, 4, 1)["image"], [9000, 1, 1, 1])
    cropped = PaddedCrop(1, "zero")({"image": image}, KEY)["image"].numpy()
    crops = padded_crops(image[0].numpy(), 1, "zero")
    counts = (cropped[:, np.newaxis] == crops).all((2, 3, 4)).sum(0)
    assert counts.sum() == 9000
    np.testing.assert_allclose(counts, 1000, atol=150)  # five standard deviations


def test_random_flip_mirrors_the_width_of_about_its_share():
    batch = make_batch(4000, 4, 4, 1)
    flipped = RandomFlip(0.3)(batch, KEY)["image"].numpy()
    before = batch["image"].numpy()
    mirrored = (flipped == before[:, :, ::-1]).all((1, 2, 3))
    kept = (flipped == before).all((1, 2, 3))
    assert (mirrored ^ kept).all()
    assert abs(mirrored.mean() - 0.3) < 0.04


@pytest.mark.parametrize("probability", [0, 1])
def test_random_flip_never_or_always(probability):
    batch = make_batch()
    flipped = RandomFlip(probability)(batch, KEY)["image"].numpy()
    before = batch["image"].numpy()
    np.testing.assert_array_equal(flipped, before[:, :, ::-1] if probability else before)


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_augmentation_depends_on_the_key_alone(op):
    batch = make_batch()
    first, again = op(batch, KEY)["image"], op(batch, KEY)["image"]
    tf.random.set_seed(7)
    other = op(batch, tf.add(KEY, [0, 1]))["image"]
    np.testing.assert_array_equal(first, again)
    assert (first.numpy() != other.numpy()).any()
    assert first.dtype == tf.float32 and first.shape == batch["image"].shape


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_augmentation_returns_a_new_dict_and_passes_other_keys_on(op):
    batch = make_batch()
    before = dict(batch)
    out = op(batch, KEY)
    assert out is not batch and all(batch[key] is before[key] for key in before)
    assert out["label"] is batch["label"] and out["weight"] is batch["weight"]


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_augmentation_is_the_same_in_every_mode(op):
    batch = make_batch()
    eager = op(batch, KEY)["image"].numpy()

    spec = {
        "image": tf.TensorSpec([None, 8, 6, 3], tf.float32),
        "label": tf.TensorSpec([None], tf.int32),
        "weight": tf.TensorSpec([None], tf.float32),
    }
    traced = tf.function(op, input_signature=[spec, tf.TensorSpec([2], tf.int64)])
    np.testing.assert_array_equal(traced(batch, KEY)["image"], eager)

    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(16).map(lambda b: op(b, KEY))
    np.testing.assert_array_equal(next(iter(dataset))["image"], eager)


@pytest.mark.parametrize("op", OPS, ids=ids)
def test_augmentation_compiles_under_xla(op):
    batch = make_batch()
    compiled = tf.function(op, jit_compile=True)
    out = compiled(batch, KEY)["image"].numpy()
    np.testing.assert_array_equal(out, compiled(batch, KEY)["image"])
    # XLA draws other numbers, so only what is done can be compared, not to which image.
    for before, after in zip(batch["image"].numpy(), out, strict=True):
        if isinstance(op, PaddedCrop):
            candidates = padded_crops(before, op.padding, op.mode)
        else:
            candidates = np.stack([before, before[:, ::-1]])
        assert (candidates == after).all((1, 2, 3)).any()


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_random_flip_refuses_what_is_no_probability(probability):
    with pytest.raises(ValueError, match=f"probability={probability} must lie between 0 and 1"):
        RandomFlip(probability)


@pytest.mark.parametrize("padding", [0, -1, 1.5, True])
def test_padded_crop_refuses_other_paddings(padding):
    with pytest.raises(ValueError, match=f"padding={padding} must be a whole number, at least 1"):
        PaddedCrop(padding)


def test_padded_crop_offers_the_nearest_mode():
    with pytest.raises(ValueError, match="mode='reflekt' is unknown; did you mean reflect"):
        PaddedCrop(4, mode="reflekt")


def test_padded_crop_cannot_reflect_more_than_the_image():
    with pytest.raises(ValueError, match=r"padding=6 with mode=reflect .* 8x6; use at most 5"):
        PaddedCrop(6)(make_batch(), KEY)
    PaddedCrop(5)(make_batch(), KEY)
