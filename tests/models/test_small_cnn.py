"""One architecture in three styles: the same parameters, and the same function of them."""

import keras
import numpy as np
import pytest

from models.small_cnn_functional import small_cnn_functional
from models.small_cnn_sequential import small_cnn_sequential
from models.small_cnn_subclassed import SmallCNNSubclassed

IMAGES = np.random.default_rng(0).random((4, 28, 28, 1), "float32")


@pytest.fixture(scope="module")
def three():
    keras.utils.set_random_seed(0)
    models = [small_cnn_sequential(10), small_cnn_functional(10), SmallCNNSubclassed(10)]
    for model in models:
        model(IMAGES)
    return models


def test_they_have_as_many_parameters(three):
    conv = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64
    expected = conv + 4 * (32 + 64) + (64 + 1) * 10
    assert [model.count_params() for model in three] == [expected] * 3
    names = [[v.path.split("/")[-2:] for v in model.variables] for model in three]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("training", [False, True])
def test_with_equal_weights_they_give_equal_outputs(three, training):
    for model in three[1:]:
        model.set_weights(three[0].get_weights())
    for model in three:
        model.get_layer("dropout").stateless_key = np.array([1, 2], "int64")
    outputs = [model(IMAGES, training=training).numpy() for model in three]
    np.testing.assert_array_equal(outputs[1], outputs[0])
    np.testing.assert_array_equal(outputs[2], outputs[0])
    other = [model(IMAGES, training=not training).numpy() for model in three]
    assert not np.allclose(other[0], outputs[0])
