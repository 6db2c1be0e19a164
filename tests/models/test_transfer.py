"""Published networks as the base of another model. Nothing is downloaded."""

import json
import urllib.error

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import NetworkInput
from models.transfer import Transfer

IMAGES = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
SMALL = {"network": "MobileNet", "weights": None, "image_size": (32, 32), "head_units": (8,)}


def make(**arguments):
    return Transfer(4, **SMALL | arguments)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = make()
    model(IMAGES)
    return model


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield
    keras.config.set_dtype_policy(before)


def test_images_are_prepared_as_the_network_was_trained():
    caffe = NetworkInput("resnet", (32, 32))(IMAGES).numpy()
    expected = 255 * IMAGES[..., ::-1] - [103.939, 116.779, 123.68]  # blue, green, red
    np.testing.assert_allclose(caffe, expected, atol=1e-3)
    np.testing.assert_allclose(NetworkInput("nasnet", (32, 32))(IMAGES), 2 * IMAGES - 1, atol=1e-5)


def test_grey_images_of_any_size_are_made_to_fit():
    grey = IMAGES[:, :20, :24, :1]
    prepared = NetworkInput("nasnet", (32, 48))(grey).numpy()
    assert prepared.shape == (2, 32, 48, 3)
    np.testing.assert_array_equal(prepared[..., 0], prepared[..., 2])
    with pytest.raises(ValueError, match="1 or 3"):
        NetworkInput("nasnet", (32, 32))(np.zeros((2, 32, 32, 4), "float32"))


def test_a_frozen_base_is_in_inference_and_the_head_is_trained(model):
    assert [v.path.split("/")[-2] for v in model.trainable_variables] == [
        *["hidden_1"] * 2,
        *["logits"] * 2,
    ]
    before = [v.numpy() for v in model.base.variables]
    np.testing.assert_array_equal(model(IMAGES, training=True), model(IMAGES, training=False))
    for variable, value in zip(model.base.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert all(v.path.startswith("base/") for v in model.base.variables)


def test_an_unfrozen_base_is_trained():
    model = make(frozen=False)
    inference = model(IMAGES, training=False)
    assert len(model.trainable_variables) == len(model.base.trainable_variables) + 4
    assert not np.allclose(model(IMAGES, training=True), inference)
    assert model.get_config()["frozen"] is False


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_files_hold_the_base_under_mixed_precision(policy, tmp_path, monkeypatch):
    model = make()
    assert model(IMAGES).dtype == tf.float32
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert model.base.layers[-1].compute_dtype == keras.config.dtype_policy().compute_dtype
    model.save(tmp_path / "model.keras")

    # Whatever it began with is not looked for again.
    model.initial_weights = "imagenet"
    model.save(tmp_path / "from_imagenet.keras")
    monkeypatch.setattr("models.transfer._base", None)
    for name in ("model", "from_imagenet"):
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    assert json.loads(json.dumps(loaded.get_config()))["weights"] == "imagenet"
    assert not loaded.base.trainable_variables


def test_weights_come_from_a_file(tmp_path, model):
    path = str(tmp_path / "base.weights.h5")
    model.base.save_weights(path)
    other = make(weights=path)
    for a, b in zip(other.base.get_weights(), model.base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"weights=.*h5: no weights of VGG16 without its top"):
        make(weights=path, network="VGG16")


def test_without_a_network_imagenet_names_both_ways_out(monkeypatch, tmp_path):
    def no_network(url, *_):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="weights=imagenet: those of MobileNet cannot") as error:
        make(weights="imagenet", image_size=(224, 224))
    message = str(error.value)
    assert "weights=null" in message
    assert "weights=FILE" in message
    assert "https://storage.googleapis.com/" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "resnet50v3"}, "network='resnet50v3' is none of .*; nearest: ResNet50V2"),
        ({"weights": "no/such.h5"}, "weights=no/such.h5: no such file; choose imagenet"),
        ({"image_size": (32,)}, r"image_size must be \[height, width\]"),
        ({"image_size": (16, 16)}, "at least 32x32"),
    ],
)
def test_what_cannot_be_had_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "size", "policy"),
    [
        ("NASNetMobile", 32, "float32"),
        ("ResNet50", 32, "mixed_bfloat16"),
        ("MobileNetV3Small", 32, "mixed_float16"),
        ("MobileNetV3Large", 32, "float32"),
        ("EfficientNetV2B0", 32, "mixed_bfloat16"),
        ("EfficientNetB0", 32, "float32"),
        ("ConvNeXtTiny", 32, "float32"),
        ("InceptionResNetV2", 75, "float32"),
    ],
    indirect=["policy"],
)
def test_networks_are_built_saved_and_loaded(network, size, policy, tmp_path):
    model = make(network=network, image_size=(size, size), frozen=False)
    logits = model(IMAGES)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(IMAGES, training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(g is not None for g in gradients)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
