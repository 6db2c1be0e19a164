import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import NUM_TRAIN, NUM_VAL, toy_arrays, toy_data, toy_model, toy_trainer

from trainer.split_predictions import SplitPredictions, predict_split


@pytest.fixture(scope="module")
def regularized():
    layer = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.1))
    return toy_trainer(model=toy_model(layer))


@pytest.mark.parametrize(("split", "seed", "num"), [("val", 1, NUM_VAL), ("train", 0, NUM_TRAIN)])
def test_each_example_comes_once_in_the_order_of_the_split(regularized, split, seed, num):
    found = predict_split(regularized, split)
    features, labels = toy_arrays(num, seed)
    np.testing.assert_array_equal(found.labels[None], labels)
    logits = regularized.model.predict(features, verbose=0)
    np.testing.assert_allclose(found.predictions[None], keras.ops.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found.weight, np.ones(num))
    assert found.activations == {None: "softmax"}


def test_the_mean_of_the_losses_is_the_loss_of_evaluate(regularized):
    weight = np.linspace(0, 2, NUM_VAL, dtype=np.float32)
    val = (*toy_arrays(NUM_VAL, 1), weight)
    from trainer.data.data import Data

    data = Data(train=toy_arrays(NUM_TRAIN, 0), val=val, batch_size=8)
    trainer = toy_trainer(model=regularized.model, data=data)
    found = predict_split(trainer, "val")
    np.testing.assert_array_equal(found.weight, weight)
    mean = np.average(found.losses, weights=found.weight)
    assert mean == pytest.approx(trainer.evaluate("val")["loss"], rel=1e-5)


def test_padding_in_the_middle_is_left_out_and_examples_of_weight_0_are_not(regularized):
    from trainer.data.data import Data

    sizes, (features, labels) = (5, 8, 2, 7), toy_arrays(NUM_VAL, 1)
    weight = np.ones(NUM_VAL, np.float32)
    weight[[4, 12, 21]] = 0  # the last of batches
    ends = np.cumsum(sizes)

    def batches():
        for end, size in zip(ends, sizes, strict=True):
            yield tuple(array[end - size : end] for array in (features, labels, weight))

    spec = tuple(
        tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in (features, labels, weight)
    )
    val = tf.data.Dataset.from_generator(batches, output_signature=spec)
    data = Data(train=toy_arrays(NUM_TRAIN, 0), val=val, batch_size=8)
    found = predict_split(toy_trainer(model=regularized.model, data=data), "val")
    np.testing.assert_array_equal(found.labels[None], labels)
    np.testing.assert_array_equal(found.weight, weight)
    logits = regularized.model.predict(features, verbose=0)
    np.testing.assert_allclose(found.predictions[None], keras.ops.softmax(logits), atol=1e-6)


def test_values_are_kept_as_such_whatever_the_numbers():
    from trainer.data.data import Data
    from trainer.losses import PerOutput

    features, _ = toy_arrays(16, 0)
    labels = {"yes": (features > 0)[:, :1], "value": (features > 0)[:, 1:2]}
    labels = {name: array.astype(np.float32) for name, array in labels.items()}
    inputs = keras.Input([4])
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in labels}
    losses = {
        "yes": keras.losses.BinaryCrossentropy(from_logits=True),
        "value": keras.losses.MeanSquaredError(),
    }
    data = Data(train=(features, labels), val=(features, labels), batch_size=8)
    model = keras.Model(inputs, outputs)
    trainer = toy_trainer(model=model, data=data, loss=PerOutput(losses), metrics=None)
    found = predict_split(trainer, "val")
    assert found.activations == {"yes": "sigmoid", "value": "linear"}


def test_a_split_that_is_not_there_is_named(regularized):
    with pytest.raises(ValueError, match="this data has train, val"):
        predict_split(regularized, "tset")


def test_outputs_that_do_not_fit_are_one_line():
    trainer = toy_trainer()
    trainer.data = toy_data()
    trainer.loss = lambda labels, outputs: keras.ops.reshape(outputs, [5, 5])
    with pytest.raises(ValueError, match="the outputs do not fit the labels: ") as caught:
        predict_split(trainer, "val")
    assert "\n" not in str(caught.value)


def predictions(*names, weights="last"):
    rng = np.random.default_rng(0)
    return SplitPredictions(
        {name: np.arange(5, dtype=np.int32) for name in names},
        {name: rng.random((5, 2), np.float32) for name in names},
        rng.random(5, np.float32), np.ones(5, np.float32), 7, weights,
        dict.fromkeys(names, "sigmoid"), "0123",
    )  # fmt: skip


@pytest.mark.parametrize("names", [(None,), ("class", "value")])
def test_what_is_saved_is_loaded(names, tmp_path):
    kept = predictions(*names)
    kept.save(tmp_path / "report" / "predictions_val.npz")
    found = SplitPredictions.load(tmp_path / "report" / "predictions_val.npz")
    assert (found.step, found.weights, found.data) == (7, "last", "0123")
    assert found.activations == dict.fromkeys(names, "sigmoid")
    assert set(found.labels) == set(found.predictions) == set(names)
    for name in names:
        np.testing.assert_array_equal(found.labels[name], kept.labels[name])
        np.testing.assert_array_equal(found.predictions[name], kept.predictions[name])
    np.testing.assert_array_equal(found.losses, kept.losses)


def forged(path, **changes):
    arrays = {
        "labels": np.zeros(5), "predictions": np.zeros((5, 2)), "losses": np.zeros(5),
        "weight": np.ones(5), "step": np.array(1), "weights": np.array("best"),
    }  # fmt: skip
    arrays |= changes
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


def test_the_forged_file_is_right_where_nothing_is_changed(tmp_path):
    forged(tmp_path / "p.npz")
    assert SplitPredictions.load(tmp_path / "p.npz").step == 1


def test_a_file_of_before_tells_neither_activations_nor_data(tmp_path):
    forged(tmp_path / "p.npz")
    found = SplitPredictions.load(tmp_path / "p.npz")
    assert (found.activations, found.data) == ({}, "")


def test_arrays_that_are_none_of_ours_are_not_read(tmp_path):
    forged(tmp_path / "p.npz", payload=np.array([{}], dtype=object))  # reading it is an error
    assert SplitPredictions.load(tmp_path / "p.npz").step == 1


def test_a_file_that_unpacks_to_more_than_fits_is_refused_unread(tmp_path):
    forged(tmp_path / "p.npz")
    with zipfile.ZipFile(tmp_path / "p.npz", "a") as archive:
        archive.writestr("predictions/bomb.npy", b"small")
        archive.filelist[-1].file_size = 3 << 30  # as the archive's list has it
    with pytest.raises(ValueError, match=r"unpacks to 3,22\d,\d{3},\d{3} bytes, more than 2,147"):
        SplitPredictions.load(tmp_path / "p.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": None},
        {"step": None},
        {"step": np.array([1, 2])},
        {"losses": np.zeros((5, 1))},
        {"weight": np.ones(4)},
        {"predictions": np.zeros((6, 2))},
        {"predictions": np.array(["a"] * 5)},
        {"labels": np.array([{}] * 5, dtype=object)},
        {"labels/other": np.zeros(5)},
    ],
    ids=str,
)
def test_a_forged_file_is_one_line(changes, tmp_path):
    forged(tmp_path / "p.npz", **changes)
    with pytest.raises(ValueError, match=r"p\.npz: holds no predictions .*evaluate anew"):
        SplitPredictions.load(tmp_path / "p.npz")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_one_line(content, tmp_path):
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(ValueError, match="holds no predictions"):
        SplitPredictions.load(tmp_path / "p.npz")


def test_a_file_that_is_not_there_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(OSError):
        SplitPredictions.load(tmp_path / "p.npz")
