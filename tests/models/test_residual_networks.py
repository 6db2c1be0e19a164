"""ResNet18, WideResNet and ResidualCNN have the parameters and shapes of their sources."""

import math

import keras
import numpy as np
import pytest

from models.residual_cnn import ResidualCNN
from models.resnet18 import ResNet18
from models.wide_resnet import WideResNet


def count(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def shapes_only(model):
    """Build without drawing the numbers."""
    with keras.StatelessScope(initialize_variables=False):
        model.build((None, 32, 32, 3))
    return model


@pytest.mark.parametrize(
    ("make", "trainable"),
    [
        (lambda: ResNet18(10), 11_173_962),
        (lambda: ResNet18(100), 11_220_132),
        (lambda: WideResNet(10), 2_748_890),
        (lambda: WideResNet(10, depth=28, width=10), 36_479_194),
        (lambda: WideResNet(100, depth=28, width=10), 36_536_884),
        (lambda: ResidualCNN(10), 25_776),
        (lambda: ResidualCNN(1), 21_159),
    ],
)
def test_has_the_published_number_of_trainable_parameters(make, trainable):
    assert count(shapes_only(make()).trainable_variables) == trainable


def test_resnet18_has_eighteen_layers_in_four_stages():
    model = shapes_only(ResNet18(10))
    assert [layer.output.shape[1:] for layer in model.layers] == [
        *[(32, 32, 64)] * 3, *[(16, 16, 128)] * 2, *[(8, 8, 256)] * 2, *[(4, 4, 512)] * 2,
        (512,), (10,),
    ]  # fmt: skip
    kernels = [v for v in model.trainable_variables if v.name == "kernel" and v.shape[0] != 1]
    assert len(kernels) == 18  # logits included; the 1x1 shortcuts do not count


@pytest.mark.parametrize(("depth", "blocks"), [(10, 3), (16, 6), (22, 9)])
def test_wide_resnet_is_as_deep_and_wide_as_told(depth, blocks):
    model = shapes_only(WideResNet(10, depth=depth, width=2))
    assert len(model.blocks) == blocks
    widths = [(32, 32, 32), (16, 16, 64), (8, 8, 128)]
    assert [
        block.output.shape[1:] for block in model.blocks[blocks // 3 - 1 :: blocks // 3]
    ] == widths
    assert sum(len(v.shape) == 4 for v in model.trainable_variables) == depth


def test_wide_resnet_drops_in_training_alone():
    model = WideResNet(3, depth=10, width=1, dropout=0.5)
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    assert not np.allclose(model(images, training=True), model(images, training=True))
    np.testing.assert_array_equal(model(images), model(images))


@pytest.mark.parametrize("shape", [(9, 12, 1), (28, 28, 1), (7, 7, 3)])
@pytest.mark.parametrize("kind", [ResNet18, WideResNet, ResidualCNN])
def test_takes_images_of_other_sizes(kind, shape):
    size = {ResNet18: {"width": 4}, WideResNet: {"depth": 10, "width": 1}}.get(kind, {})
    assert kind(3, **size)(np.zeros((2, *shape), "float32")).shape == (2, 3)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (WideResNet, {"depth": 18}, r"depth must be 6 n \+ 4, such as .* Received: 18"),
        (WideResNet, {"depth": 4}, r"depth must be 6 n \+ 4, such as .* Received: 4"),
        (WideResNet, {"width": 0}, r"width must be a whole number .* Received: 0"),
        (WideResNet, {"dropout": 1.0}, r"0 <= rate < 1\. Received: 1\.0"),
        (ResNet18, {"width": 1.5}, r"width must be a whole number .* Received: 1\.5"),
        (ResidualCNN, {"filters": 0}, r"filters must be a whole number .* Received: 0"),
    ],
)
def test_refuses_bad_arguments(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(10, **arguments)


@pytest.mark.parametrize("shape", [(6, 32, 3), (None, None, 3)])
def test_residual_cnn_refuses_images_it_cannot_pool(shape):
    with pytest.raises(ValueError, match=r"of one size, at least 7x7 pixels.* Received: "):
        ResidualCNN(10).build((None, *shape))
