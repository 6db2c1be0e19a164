"""FunnyResNet has the parameters of its source, whatever else its arguments make of it."""

import math

import keras
import numpy as np
import pytest

from models.funny_resnet import FunnyResNet, ResidualLayer, ResidualLayerScal

TINY = {
    "stem": 8,
    "top": [8, 8],
    "mid": [8, 8],
    "bottom": [8, 16],
    "kernel_sizes": [3, 5],
    "strides": [2, 1],
    "depth": 2,
}


def count(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def test_has_the_published_number_of_parameters():
    model = FunnyResNet(10)
    # Shapes are all that is asked for: no need to draw 87 M numbers.
    with keras.StatelessScope(initialize_variables=False):
        model.build((None, 32, 32, 3))
    assert model.count_params() == 86_757_322
    assert count(model.trainable_variables) == 86_695_370


def test_arguments_say_how_many_layers_of_which_shape():
    model = FunnyResNet(10, **TINY)
    model.build((None, 32, 32, 3))
    assert [(layer.name, type(layer), layer.output.shape[1:]) for layer in model.blocks] == [
        ("block_1_scaling", ResidualLayerScal, (8, 8, 8)),
        ("block_1_identity_1", ResidualLayer, (8, 8, 8)),
        ("block_2_scaling", ResidualLayerScal, (8, 8, 16)),
        ("block_2_identity_1", ResidualLayer, (8, 8, 16)),
    ]
    assert [path.mid.filters for path in model.blocks[0].paths] == [8, 2]


@pytest.mark.parametrize("num_paths", [1, 2])
def test_number_of_paths_is_an_argument(num_paths):
    model = FunnyResNet(3, **TINY, num_paths=num_paths)
    assert model(np.zeros((2, 9, 12, 1), "float32")).shape == (2, 3)
    assert {len(layer.paths) for layer in model.blocks} == {num_paths}


@pytest.mark.parametrize("zero_gamma", [False, True])
def test_zero_gamma_starts_with_the_identity_where_the_size_stays(zero_gamma):
    model = FunnyResNet(3, **TINY, zero_gamma=zero_gamma)
    model.build((None, 8, 8, 3))
    images = np.random.default_rng(0).random((2, 2, 2, 16), "float32")
    unchanged = np.array_equal(model.blocks[-1](images, training=True), images)
    assert unchanged == zero_gamma
    scaling = model.blocks[0]
    images = np.random.default_rng(0).random((2, 4, 4, 8), "float32")
    shortcut = keras.ops.relu(scaling.shortcut(images, training=True))
    assert not np.array_equal(scaling(images, training=True), shortcut)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("depth", 0, r"depth must be .* whole numbers .* Received: 0\."),
        ("strides", [2, 2.0], r"strides must be .* whole numbers .* Received: \[2, 2\.0\]"),
        ("mid", [8], r"must have one number for each block\. Received: .*'mid': \[8\]"),
        ("num_paths", 3, r"Received: num_paths=3, top=8.* Take fewer paths or more channels"),
        ("num_paths", 0, r"num_paths must be at least 1.* Received: num_paths=0"),
    ],
)
def test_refuses_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        FunnyResNet(10, **{**TINY, argument: value})


@pytest.mark.parametrize("shape", [(2, 32, 3), (None, None, 3)])
def test_refuses_images_it_cannot_flatten(shape):
    with pytest.raises(ValueError, match=r"of one size, at least 3x3 .* Received: input_shape="):
        FunnyResNet(10, **TINY).build((None, *shape))
