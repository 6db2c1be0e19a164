import keras
import numpy as np
import pytest

from models.contrastive import ContrastiveModel, LinearProbe
from models.mini_inception import MiniInception
from models.mlp import MLP

IMAGES = np.random.default_rng(0).random((4, 8, 8, 1), "float32")


@pytest.fixture(params=[lambda: MLP(10, [6]), lambda: MiniInception(10, 0.1)], ids=["mlp", "conv"])
def encoder(request):
    keras.utils.set_random_seed(0)
    return request.param()


@pytest.mark.parametrize("is_built", [False, True])
def test_the_representation_is_what_the_logits_were_made_of(encoder, is_built):
    whole = type(encoder).from_config(encoder.get_config())
    logits = whole(IMAGES)
    if is_built:
        encoder(IMAGES)
    model = ContrastiveModel(encoder, hidden_units=5, projection_units=3)
    assert model(IMAGES).shape == (4, 3)
    assert all("logits" not in v.path for v in model.variables)
    assert "logits" not in [layer.name for layer in encoder.layers]
    assert len(encoder.variables) == len(whole.variables) - 2
    for variable, value in zip(encoder.variables, whole.variables[:-2], strict=True):
        variable.assign(value)
    representation = model.encoder(IMAGES)
    np.testing.assert_allclose(whole.logits(representation), logits, rtol=1e-4, atol=1e-5)


def test_every_trainable_variable_has_a_path_of_its_own(encoder):
    model = ContrastiveModel(encoder)
    model(IMAGES)
    paths = [v.path for v in model.variables]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("kind", [ContrastiveModel, lambda encoder: LinearProbe(10, encoder)])
def test_file_gives_an_equal_model(encoder, kind, tmp_path):
    model = kind(encoder)
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


def test_a_probe_leaves_its_encoder_as_it_is(encoder):
    probe = LinearProbe(10, encoder)
    assert probe(IMAGES).shape == (4, 10)
    before = [v.numpy() for v in encoder.variables]
    probe(IMAGES, training=True)
    for variable, value in zip(encoder.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert [v.path.split("/")[-2] for v in probe.trainable_variables] == ["logits", "logits"]


def test_a_probe_standardises_features_of_any_size():
    probe = LinearProbe(2, MLP(10, []))  # the representation is the pixels
    for _ in range(100):
        probe(0.1 * IMAGES, training=True)
    features = probe.standardise(probe.encoder(0.1 * IMAGES)).numpy()
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=0.1)


def test_an_encoder_without_logits_is_refused():
    with pytest.raises(ValueError, match=r"^Sequential has no layer named `logits` to"):
        ContrastiveModel(keras.Sequential([keras.layers.Dense(3)]))


@pytest.mark.parametrize("argument", ["hidden_units", "projection_units"])
def test_a_size_out_of_range_is_named(argument):
    with pytest.raises(ValueError, match=f"^{argument} must be"):
        ContrastiveModel(MLP(10), **{argument: 0})
