"""Models with branches, and with several inputs and outputs."""

import numpy as np
import pytest

from models.branched_mlp import BranchedMLP
from models.two_inputs import TwoInputs

RNG = np.random.default_rng(0)
IMAGES, FEATURES = RNG.random((3, 8, 8, 1), "float32"), RNG.random((3, 4), "float32")


def dense(x, layer, relu=True):
    y = x @ layer.kernel.numpy() + layer.bias.numpy()
    return np.maximum(y, 0) if relu else y


def test_branched_mlp_is_two_towers_side_by_side():
    model = BranchedMLP(2)
    logits = model(FEATURES)
    towers = []
    for branch, width in zip(model.branches, (10, 3), strict=True):
        assert [layer.units for layer in branch] == [width] * 3
        x = FEATURES
        for layer in branch:
            x = dense(x, layer)
        towers.append(x)
    joint = dense(np.concatenate(towers, axis=1), model.joint)
    assert joint.shape == (3, 5)
    np.testing.assert_allclose(logits, dense(joint, model.logits, relu=False), atol=1e-5)


def test_branched_mlp_flattens_images():
    model = BranchedMLP(2)
    assert model(IMAGES).shape == (3, 2)
    assert model.branches[0][0].kernel.shape == (64, 10)


def test_two_inputs_gives_two_outputs_that_depend_on_both():
    model = TwoInputs(5, width=4)
    outputs = model({"image": IMAGES, "features": FEATURES})
    assert {name: tuple(y.shape) for name, y in outputs.items()} == {
        "class": (3, 5),
        "value": (3, 1),
    }
    for changed in ({"image": 1 - IMAGES}, {"features": 1 - FEATURES}):
        others = model({"image": IMAGES, "features": FEATURES} | changed)
        for name, y in outputs.items():
            assert not np.allclose(others[name], y), (name, changed.keys())


@pytest.mark.parametrize("inputs", [IMAGES, {"image": IMAGES}])
def test_two_inputs_says_what_it_takes(inputs):
    with pytest.raises(ValueError, match="takes a dict of `image`"):
        TwoInputs(5)(inputs)


@pytest.mark.parametrize("arguments", [{"branch_units": []}, {"branch_depth": 0}])
def test_sizes_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="whole numbers of at least 1"):
        BranchedMLP(2, **arguments)
