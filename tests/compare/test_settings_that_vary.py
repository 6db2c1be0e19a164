import doctest

import pytest

from trainer.compare import settings_that_vary
from trainer.compare.settings_that_vary import flat, short_names, short_value, telling, varied

SGD = {"optimizer._target_": "a.SGD", "optimizer.learning_rate": "0.1", "optimizer.momentum": "0.9"}
ADAM = {"optimizer._target_": "a.Adam", "optimizer.learning_rate": "0.1", "optimizer.beta": "0.9"}


def test_examples_in_docstrings():
    assert doctest.testmod(settings_that_vary).failed == 0


def test_flat_leaves_out_what_is_nothing_and_the_seed():
    config = {
        **{"seed": 3, "resume": "same", "profile": None, "augment": {}},
        "model": {"_target_": "models.mlp.MLP", "hidden_units": [64, 64], "seed": 1},
    }
    assert flat(config) == {
        "model._target_": "models.mlp.MLP",
        "model.hidden_units": "[64, 64]",
        "model.seed": "1",
    }


def test_what_is_null_in_one_and_not_there_in_another_does_not_vary():
    assert varied([flat({"a": 1, "b": None}), flat({"a": 1})]) == []


def test_settings_that_come_with_an_option_tell_nothing():
    assert set(varied([SGD, ADAM])) == {
        *("optimizer._target_", "optimizer.momentum", "optimizer.beta")
    }
    assert telling([SGD, ADAM]) == ["optimizer._target_"]


def test_a_setting_that_varies_within_an_option_tells():
    assert telling([SGD, ADAM, {**SGD, "optimizer.momentum": "0"}]) == [
        *("optimizer._target_", "optimizer.momentum")
    ]


def test_a_setting_that_differs_between_options_but_not_within_tells_nothing():
    assert telling([SGD, {**ADAM, "optimizer.learning_rate": "0.001"}]) == ["optimizer._target_"]


def test_names_are_as_short_as_they_can_be_told_apart():
    names = ["a.x.rate", "b.x.rate", "b.width", "rate"]
    assert list(short_names(names).values()) == ["a.x.rate", "b.x.rate", "width", "rate"]


@pytest.mark.parametrize(
    "others, shown", [(["m.Net", "m.Other"], "Net"), (["m.Net", "experiments.Net"], "m.Net")]
)
def test_a_class_is_called_by_its_name_alone_unless_another_has_it(others, shown):
    assert short_value("model._target_", "m.Net", others) == shown


@pytest.mark.parametrize(
    "value, others, shown",
    [
        ("0.0025582015804", ["0.0131602638270841"], "0.002558"),
        ("0.0025582015804", ["0.0025582999999"], "0.0025582015804"),
        ("1.0000000002e-05", [], "1e-05"),
        ("123456789", [], "123456789"),
        ("1.10.2.10.5", [], "1.10.2.10.5"),
    ],
)
def test_a_number_has_few_digits_if_it_can_be_told_from_the_others(value, others, shown):
    assert short_value("rate", value, [value, *others]) == shown
