import numpy as np
import pytest
import tensorflow as tf

from trainer.data.augment import Mixup
from trainer.data.data import Data, model_inputs
from trainer.data.feeds import as_arrays

FEATURES = np.arange(20, dtype="float32").reshape(10, 2)
LABELS = (np.arange(10) % 3).astype("int64")


def collect(feed, num_steps):
    batches, plan = [], feed.plan(0, num_steps, num_steps)
    for k in range(num_steps):
        batches.append(feed.batch(plan, tf.constant(k)))
    return {key: np.concatenate([b[key].numpy() for b in batches]) for key in batches[0]}


def dataset(batch_size, drop_remainder=False):
    return tf.data.Dataset.from_tensor_slices((FEATURES, LABELS)).batch(
        batch_size, drop_remainder=drop_remainder
    )


@pytest.mark.parametrize("as_dataset", [False, True])
def test_an_evaluation_pads_with_weight_zero_and_counts_every_example_once(as_dataset):
    val = dataset(4) if as_dataset else (FEATURES, LABELS)
    feed = Data(train=(FEATURES, LABELS), val=val, batch_size=4).feed("val")
    assert (feed.steps_per_epoch, feed.num_examples, feed.batch_size) == (3, 10, 4)
    seen = collect(feed, 3)
    np.testing.assert_array_equal(seen["weight"], [1] * 10 + [0, 0])
    np.testing.assert_array_equal(seen["features"][:10], FEATURES)
    np.testing.assert_array_equal(seen["label"][:10], LABELS)


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_training_on_a_dataset_drops_the_partial_batch_and_repeats(drop_remainder):
    feed = Data(train=dataset(4, drop_remainder)).feed("train")
    assert (feed.steps_per_epoch, feed.num_examples) == (2, 8)
    seen = collect(feed, 4)
    np.testing.assert_array_equal(seen["features"], np.tile(FEATURES[:8], (2, 1)))


def test_a_dataset_is_taken_up_at_any_step():
    feed = Data(train=dataset(4)).feed("train")
    plan = feed.plan(first_step=5, num_steps=1, capacity=1)
    np.testing.assert_array_equal(feed.batch(plan, tf.constant(0))["features"], FEATURES[4:8])


def test_weights_of_the_user_are_kept():
    weight = np.linspace(0, 1, 10, dtype="float32")
    data = Data(train=(FEATURES, LABELS, weight), val=(FEATURES, LABELS, weight), batch_size=4)
    seen = collect(data.feed("val"), 3)
    np.testing.assert_array_equal(seen["weight"][:10], weight)
    np.testing.assert_array_equal(seen["weight"][10:], [0, 0])


def test_images_of_bytes_are_scaled_and_standardised():
    images = np.arange(10 * 2 * 2 * 1, dtype="uint8").reshape(10, 2, 2, 1)
    data = Data(train=(images, LABELS), batch_size=10, mean=[0.1], std=[0.5])
    batch = data.example_batch()
    expected = (np.sort(images.ravel()) / 255 - 0.1) / 0.5
    np.testing.assert_allclose(np.sort(batch["image"].numpy().ravel()), expected, rtol=1e-5)
    assert batch["label"].dtype == tf.int32


def test_augmentation_is_for_training_alone_and_keyed_by_seed_name_and_step():
    keys = []

    def note(batch, key):
        keys.append(tuple(key.numpy()))
        return {**batch, "features": batch["features"] + 1}

    data = Data(train=(FEATURES, LABELS), augment={"a": note, "b": note}, seed=5, batch_size=2)
    batch = {"features": tf.zeros([2, 2]), "label": tf.zeros([2], tf.int32)}
    out = data.transform.training(batch, tf.constant(7, tf.int64))
    assert float(out["features"][0, 0]) == 2
    assert float(batch["features"][0, 0]) == 0
    assert float(data.transform.evaluation(batch)["features"][0, 0]) == 0
    (seed_a, step_a), (seed_b, step_b) = keys
    assert seed_a != seed_b
    assert step_a == step_b == 7


@pytest.mark.parametrize("run", [lambda f: f, tf.function])
def test_images_are_seen_as_they_are_from_a_step_on(run):
    def brighten(batch, key):
        return {**batch, "features": batch["features"] + 1}

    data = Data(train=(FEATURES, LABELS), augment={"a": brighten}, batch_size=2)
    data.transform.augment_until = 3
    batch = {"features": tf.zeros([2, 2]), "label": tf.zeros([2], tf.int32)}
    seen = [
        float(run(data.transform.training)(batch, tf.constant(step, tf.int64))["features"][0, 0])
        for step in range(5)
    ]
    assert seen == [1, 1, 1, 0, 0]


def test_what_augmentation_adds_cannot_end_with_it():
    def add(batch, key):
        return {**batch, "mask": batch["features"] > 0}

    data = Data(train=(FEATURES, LABELS), augment={"a": add}, batch_size=2)
    data.transform.augment_until = 3
    with pytest.raises(ValueError, match="examples have no mask, which augment adds"):
        data.example_batch()


def test_labels_keep_the_form_that_mixing_gives_them():
    images = np.arange(10 * 4 * 4 * 3, dtype="uint8").reshape(10, 4, 4, 3)
    data = Data(train=(images, LABELS), augment={"mixup": Mixup(3)}, batch_size=10)
    data.transform.augment_until = 1
    batch = {
        "image": tf.constant(images),
        "label": tf.constant(LABELS),
        "weight": tf.ones([10]),
    }
    mixed, plain = (data.transform.training(batch, tf.constant(k, tf.int64)) for k in range(2))
    assert {k: (v.dtype, v.shape) for k, v in mixed.items()} == {
        k: (v.dtype, v.shape) for k, v in plain.items()
    }
    np.testing.assert_array_equal(plain["label"], np.eye(3)[LABELS])
    np.testing.assert_allclose(plain["image"], images / 255.0, rtol=1e-6)
    assert (mixed["label"].numpy() != plain["label"].numpy()).any()


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ((FEATURES,), r"received 1 part"),
        ({"image": FEATURES}, r"no 'label' among the keys \['image'\]"),
        ((FEATURES, LABELS[:5]), r"different lengths"),
    ],
)
def test_other_shapes_of_data_are_refused(examples, message):
    with pytest.raises(ValueError, match=message):
        as_arrays(examples)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (tf.data.Dataset.from_tensor_slices((FEATURES, LABELS)), "not batched"),
        (dataset(4).repeat(), "infinite"),
        (dataset(4).filter(lambda x, y: False), "empty"),
    ],
)
def test_datasets_that_cannot_be_trained_on_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Data(train=bad)


def test_a_missing_split_is_named_with_the_ones_there_are():
    with pytest.raises(ValueError, match="split='test': this data has train"):
        Data(train=(FEATURES, LABELS), batch_size=2).feed("test")


def test_one_input_is_passed_as_it_is_and_several_by_name():
    one = {"image": 1, "label": 2, "weight": 3}
    assert model_inputs(one) == 1
    assert model_inputs(one | {"features": 4}) == {"image": 1, "features": 4}
