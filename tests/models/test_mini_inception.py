"""MiniInception is the network of the paper."""

import math

import numpy as np
import pytest

from models.mini_inception import MiniInception


def built(input_shape=(None, 32, 32, 3), **kwargs):
    model = MiniInception(**{"num_classes": 10, **kwargs})
    model.build(input_shape)
    return model


def count(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def test_has_the_published_number_of_parameters():
    model = built()
    assert model.count_params() == 1_656_250
    assert count(model.trainable_variables) == 1_652_826


def test_has_the_published_layers():
    assert [(layer.name, layer.output.shape[1:]) for layer in built().layers] == [
        ("stem", (32, 32, 96)),
        ("inception_1a", (32, 32, 64)),
        ("inception_1b", (32, 32, 80)),
        ("downsample_1", (15, 15, 160)),
        ("inception_2a", (15, 15, 160)),
        ("inception_2b", (15, 15, 160)),
        ("inception_2c", (15, 15, 160)),
        ("inception_2d", (15, 15, 144)),
        ("downsample_2", (7, 7, 240)),
        ("inception_3a", (7, 7, 336)),
        ("inception_3b", (7, 7, 336)),
        ("pool", (336,)),
        ("logits", (10,)),
    ]


def test_width_scales_every_channel_count():
    half = [layer.output.shape[-1] for layer in built(width=0.5).layers[:-1]]
    assert half == [48, 32, 40, 80, 80, 80, 80, 72, 120, 168, 168, 168]
    assert built(width=0.01).layers[0].output.shape[-1] == 4


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 7, 3), (28, 28, 1), (40, 24, 3)])
def test_takes_images_of_other_sizes(shape):
    model = built((None, *shape), width=0.25)
    assert model(np.zeros((2, *shape), "float32")).shape == (2, 10)


def test_takes_images_of_unknown_size():
    model = built((None, None, None, 3), width=0.1)
    assert model(np.zeros((2, 9, 12, 3), "float32")).shape == (2, 10)


@pytest.mark.parametrize("width", [0, -1.0, math.nan, math.inf, None, "1"])
def test_refuses_a_bad_width(width):
    with pytest.raises(ValueError, match=r"width must be a number above 0.* Received: "):
        MiniInception(10, width=width)


@pytest.mark.parametrize("shape", [(6, 32, 3), (32, 6, 3)])
def test_refuses_images_below_7x7(shape):
    message = r"needs images of at least 7x7 pixels.* Received: input_shape=.* Resize the images"
    with pytest.raises(ValueError, match=message):
        built((None, *shape))
    with pytest.raises(ValueError, match=message):
        MiniInception(10)(np.zeros((2, *shape), "float32"))
