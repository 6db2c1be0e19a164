"""ConvModule, InceptionModule and DownsampleModule against what they are made of."""

import keras
import numpy as np
import pytest

from models.layers import ConvModule, DownsampleModule, InceptionModule

IMAGES = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype("float32")


def convolve(images, kernel, bias, strides):
    """A valid convolution, one window at a time."""
    size = kernel.shape[0]
    height, width = ((n - size) // strides + 1 for n in images.shape[1:3])
    outputs = np.empty((len(images), height, width, kernel.shape[-1]), "float32")
    for i in range(height):
        for j in range(width):
            top, left = i * strides, j * strides
            window = images[:, top : top + size, left : left + size]
            outputs[:, i, j] = np.tensordot(window, kernel, axes=3) + bias
    return outputs


def conv_module_oracle(module, images):
    """Convolution, normalization by the moments of the batch, ReLU."""
    kernel, bias = module.conv.kernel.numpy(), module.conv.bias.numpy()
    if module.padding == "same":
        margin = kernel.shape[0] // 2
        images = np.pad(images, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    x = convolve(images, kernel, bias, module.strides)
    epsilon = module.batch_norm.epsilon
    x = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + epsilon)
    return np.maximum(x, 0.0)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding"),
    [(1, 1, "same"), (3, 1, "same"), (3, 1, "valid"), (3, 2, "valid")],
)
def test_conv_module_convolves_normalizes_and_rectifies(kernel_size, strides, padding):
    module = ConvModule(4, kernel_size, strides, padding)
    outputs = module(IMAGES, training=True)
    np.testing.assert_allclose(outputs, conv_module_oracle(module, IMAGES), atol=1e-4)


def test_conv_module_has_a_bias():
    module = ConvModule(4, 3)
    module(IMAGES)
    assert [v.name for v in module.trainable_variables] == ["kernel", "bias", "gamma", "beta"]
    assert module.count_params() == 3 * 3 * 3 * 4 + 4 + 4 * 4


def test_inception_module_sets_a_1x1_and_a_3x3_branch_side_by_side():
    module = InceptionModule(2, 5)
    outputs = module(IMAGES, training=True)
    assert outputs.shape == (2, 9, 8, 2 + 5)
    assert module.conv_1x1.conv.kernel_size == (1, 1)
    assert module.conv_3x3.conv.kernel_size == (3, 3)
    branches = [conv_module_oracle(m, IMAGES) for m in (module.conv_1x1, module.conv_3x3)]
    np.testing.assert_allclose(outputs, np.concatenate(branches, -1), atol=1e-4)


def test_downsample_module_sets_a_convolution_and_a_max_pool_side_by_side():
    module = DownsampleModule(4)
    outputs = module(IMAGES, training=True)
    assert outputs.shape == (2, 4, 3, 4 + 3)  # an even side loses its last row of pixels
    pool = [[IMAGES[:, i : i + 3, j : j + 3].max((1, 2)) for j in (0, 2, 4)] for i in (0, 2, 4, 6)]
    np.testing.assert_array_equal(outputs[..., 4:], np.transpose(pool, (2, 0, 1, 3)))
    convolved = conv_module_oracle(module.conv_3x3, IMAGES)
    np.testing.assert_allclose(outputs[..., :4], convolved, atol=1e-4)


@pytest.mark.parametrize(
    "module",
    [ConvModule(4, 3, strides=2, padding="valid"), InceptionModule(2, 5), DownsampleModule(4)],
    ids=lambda module: type(module).__name__,
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_module_saves_and_loads_in_a_functional_model(module, tmp_path):
    image = keras.Input(IMAGES.shape[1:])
    model = keras.Model(image, module(image))
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].get_config() == module.get_config()
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
