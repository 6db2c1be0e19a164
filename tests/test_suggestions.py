import doctest

import pytest

from trainer import suggestions
from trainer.suggestions import closest, nearest, nearest_setting


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(suggestions).failed == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SGD", "sgd"), ("adaam", "adam"), ("adamm", "adam"), ("zebra", None), ("", None)],
)
def test_closest_ignores_case_and_gives_up_on_what_is_unlike(name, expected):
    assert closest(name, ["adam", "sgd"]) == expected


def test_closest_returns_the_name_as_it_is_written():
    assert closest("earlystoping", ["EarlyStopping"]) == "EarlyStopping"


def test_nearest_lists_a_few_names_and_only_suggests_among_many():
    many = [f"name_{i}" for i in range(20)]
    assert nearest("name_77", many).startswith("did you mean name_")
    assert "Known" not in nearest("name_77", many)
    assert nearest("x", []) == "known: none"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("lr", "did you mean optimizer.learning_rate?"),
        ("optimizer.LR", "did you mean optimizer.learning_rate?"),
        ("learning_rate", "did you mean optimizer.learning_rate?"),
        ("optimizer.learning_rat", "did you mean optimizer.learning_rate?"),
        ("model.learning_rate", "did you mean optimizer.learning_rate?"),
        ("max_epochs", "did you mean duration?"),
        ("sede", "did you mean seed?"),
        ("seed.x", "seed is a single value"),
        ("optimizer.zzz", "known: learning_rate"),
    ],
)
def test_nearest_setting_finds_the_group_too(key, expected):
    known = ["seed", "duration", "optimizer", "optimizer.learning_rate"]
    assert nearest_setting(key, known) == expected
