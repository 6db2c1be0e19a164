"""The base class, through the shortest model that uses it."""

import keras
import numpy as np
import pytest

from models.image_classifier import ImageClassifier


class TwoLayers(ImageClassifier):
    def __init__(self, num_classes, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.blocks = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten(name="flat")]
        self.logits = keras.layers.Dense(num_classes, name="logits")

    def call(self, inputs, training=False):
        for block in self.blocks:
            inputs = block(inputs)
        return self.logits(inputs)


def test_build_creates_every_variable_and_knows_every_output_shape():
    model = TwoLayers(3)
    model.build((None, 6, 6, 1))
    assert [v.path.split("/", 1)[1] for v in model.variables] == [
        "conv/kernel",
        "conv/bias",
        "logits/kernel",
        "logits/bias",
    ]
    shapes = [layer.output.shape for layer in model.layers]
    assert shapes == [(None, 4, 4, 4), (None, 64), (None, 3)]


def test_first_call_builds():
    model = TwoLayers(3)
    assert model(np.zeros((2, 6, 6, 1), "float32")).shape == (2, 3)
    assert model.get_layer("conv").output.shape == (None, 4, 4, 4)


def test_get_config_holds_num_classes():
    config = TwoLayers(3, name="small").get_config()
    assert (config["name"], config["num_classes"]) == ("small", 3)
    assert TwoLayers.from_config(config).get_config() == config


@pytest.mark.parametrize("num_classes", [None, 0, -3, 2.0, "10", True, False])
def test_refuses_a_bad_number_of_classes(num_classes):
    with pytest.raises(ValueError, match=r"num_classes must be an integer .* Received: ") as error:
        TwoLayers(num_classes)
    assert repr(num_classes) in str(error.value)


def test_one_logit_is_enough_for_two_classes():
    assert TwoLayers(1)(np.zeros((2, 6, 6, 1), "float32")).shape == (2, 1)


def test_refuses_images_without_a_channel_axis():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, 28, 28\)"):
        TwoLayers(3).build((None, 28, 28))
