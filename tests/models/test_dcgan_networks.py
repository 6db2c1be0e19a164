import keras
import numpy as np
import pytest

from models.dcgan import DCGAN


@pytest.mark.parametrize(
    ("shape", "smallest"),
    [((8, 8, 1), (2, 2, 8)), ((28, 28, 1), (7, 7, 8)), ((32, 32, 3), (4, 4, 16)),
     ((12, 20, 1), (3, 5, 8))],
)  # fmt: skip
def test_images_of_any_even_size(shape, smallest):
    model = DCGAN(latent_size=5, width=4)
    model.build((None, *shape))
    noise = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    images = model.generate(noise, training=True)
    assert images.shape == (3, *shape)
    assert 0 <= images.numpy().min() < images.numpy().max() <= 1
    assert model(images, training=True).shape == (3, 1)
    assert model.generator.get_layer("reshape").output.shape[1:] == smallest
    assert model.discriminator.get_layer("flatten").input.shape[1:] == smallest


def test_every_layer_begins_with_values_of_its_own():
    model = DCGAN(latent_size=5, width=4)
    model.build((None, 32, 32, 3))
    kernels = [v.numpy() for v in model.trainable_variables if "kernel" in v.path]
    for k, kernel in enumerate(kernels):
        assert kernel.std() == pytest.approx(0.02, rel=0.3)
        assert all(kernel.flat[0] != other.flat[0] for other in kernels[:k])


def test_file_gives_equal_networks(tmp_path):
    model = DCGAN(latent_size=5, width=4)
    noise = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    model(np.zeros((1, 8, 8, 1), "float32"))
    images = model.generate(noise, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.generate(noise), model.generate(noise))
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize(
    "shape", [(None, 8, 9, 1), (None, 2, 8, 1), (None, 64), (None, None, 8, 1)]
)
def test_other_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="even and at least 4"):
        DCGAN().build(shape)


@pytest.mark.parametrize("argument", ["latent_size", "width", "max_stages"])
def test_an_argument_out_of_range_is_named(argument):
    with pytest.raises(ValueError, match=f"^{argument} must be"):
        DCGAN(**{argument: 0})
