"""What every augmentation must keep to, whatever it does."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
from examples import KEY, NUM_CLASSES, images

from trainer import targets
from trainer.data import augment
from trainer.data.augment import (
    CutMix,
    Cutout,
    Mixup,
    PaddedCrop,
    RandomAffine,
    RandomBrightnessContrast,
    RandomFlip,
)

OPS = {
    "flip": RandomFlip(),
    "crop": PaddedCrop(4),
    "crop zero": PaddedCrop(2, mode="zero"),
    "affine": RandomAffine(45, 0.25, 0.25, 0.15),
    "affine zero": RandomAffine(180, 1, 0.9, 1, fill="zero"),
    "affine nearest": RandomAffine(shift_fraction=0.3, fill="nearest"),
    "colour": RandomBrightnessContrast(1, 1),
    "cutout": Cutout(),
    "mixup": Mixup(NUM_CLASSES, alpha=0.2),
    "mixup sometimes": Mixup(NUM_CLASSES, probability=0.5),
    "cutmix": CutMix(NUM_CLASSES, probability=0.7),
}
every_op = pytest.mark.parametrize("op", OPS.values(), ids=OPS.keys())
MIXING = (Mixup, CutMix)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_every_augmentation_is_held_to_the_contract():
    assert {type(op).__name__ for op in OPS.values()} == set(augment.__all__)


@pytest.mark.parametrize("name", augment.__all__)
def test_the_package_gives_every_class_by_its_short_and_its_full_name(name):
    found = targets.resolve("augment.x", f"trainer.data.augment.{name}")
    assert found is getattr(augment, name)
    assert targets.resolve("augment.x", f"{found.__module__}.{name}") is found
    assert inspect.getdoc(found)


@every_op
def test_the_draws_depend_on_the_key_alone(op):
    batch = images()
    first = op(batch, KEY)
    tf.random.set_seed(7)
    assert_equal(op(batch, KEY), first)
    for word in ([0, 1], [1, 0]):
        other = op(batch, tf.add(KEY, word))
        assert (first["image"].numpy() != other["image"].numpy()).any()


@every_op
def test_the_draws_differ_within_a_batch(op):
    batch = images()
    same = {key: tf.repeat(tensor[:2], 20, axis=0) for key, tensor in batch.items()}
    out = op(same, KEY)["image"].numpy()
    assert len({image.tobytes() for image in out[:20]}) > 1


@every_op
@pytest.mark.parametrize("shape", [(16, 8, 6, 3), (1, 5, 9, 1), (7, 16, 16, 4)])
def test_shapes_types_and_ranges_stay(op, shape):
    batch = images(*shape)
    batch["image"] = tf.round(batch["image"])  # the extremes
    for k in range(5):
        out = op(batch, tf.add(KEY, [0, k]))
        image = out["image"].numpy()
        assert image.dtype == np.float32 and image.shape == shape
        assert image.min() >= 0 and image.max() <= 1


@every_op
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_nothing_leaves_a_plain_image_with_values_between_its_own_and_the_fill(op, value):
    batch = images()
    batch["image"] = tf.fill(batch["image"].shape, value)
    image = op(batch, KEY)["image"].numpy()
    if not isinstance(op, RandomBrightnessContrast):
        fill = 0.0 if "zero" in (getattr(op, "fill", ""), getattr(op, "mode", "")) else value
        fill = op.fill if isinstance(op, Cutout) else fill
        low, high = np.float32(min(fill, value)), np.float32(max(fill, value))
        assert image.min() >= low and image.max() <= high


@every_op
def test_the_batch_is_left_alone_and_labels_weights_and_other_keys_are_carried_along(op):
    batch = images() | {"name": tf.range(16)}
    before = dict(batch)
    out = op(batch, KEY)
    assert out is not batch and all(batch[key] is before[key] for key in before)
    assert out.keys() == batch.keys() and out["name"] is batch["name"]
    assert out["weight"].shape == [16] and out["weight"].dtype == tf.float32
    if isinstance(op, MIXING):
        assert out["label"].shape == [16, NUM_CLASSES] and out["label"].dtype == tf.float32
    else:
        assert out["label"] is batch["label"] and out["weight"] is batch["weight"]


@every_op
def test_it_is_the_same_in_every_mode_and_for_an_unknown_batch_size(op):
    batch = images()
    eager = op(batch, KEY)
    spec = {
        "image": tf.TensorSpec([None, 8, 6, 3], tf.float32),
        "label": tf.TensorSpec([None], tf.int32),
        "weight": tf.TensorSpec([None], tf.float32),
    }
    traced = tf.function(op, input_signature=[spec, tf.TensorSpec([2], tf.int64)])
    assert_equal(traced(batch, KEY), eager)
    assert traced.get_concrete_function().structured_outputs["image"].shape[1:] == [8, 6, 3]

    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(16).map(lambda b: op(b, KEY))
    assert_equal(next(iter(dataset)), eager)


@every_op
def test_it_compiles_under_xla(op):
    batch = images()
    compiled = tf.function(op, jit_compile=True)
    out = compiled(batch, KEY)
    assert_equal(compiled(batch, KEY), out)
    image = out["image"].numpy()
    assert image.shape == (16, 8, 6, 3) and image.min() >= 0 and image.max() <= 1
    assert (image != batch["image"].numpy()).any()


@every_op
def test_an_op_of_the_chain_takes_what_another_gives(op):
    mixed = Mixup(NUM_CLASSES)(images(), KEY)
    out = op(mixed, tf.add(KEY, [1, 0]))
    assert out["label"].shape == [16, NUM_CLASSES]
    np.testing.assert_allclose(tf.reduce_sum(out["label"], -1), 1, rtol=1e-6)
