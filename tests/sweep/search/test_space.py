"""Ranges in Hydra's grammar become Optuna's, their values words; what is none is one line."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from trainer.config import ConfigError
from trainer.sweep.search.space import read_space

PARSER = OverridesParser.create()


def read(params=None, when=None, words=()):
    return read_space(PARSER, params, when, list(words))


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("interval(0, 1)", FloatDistribution(0.0, 1.0)),
        ("tag(log, interval(1e-4, 1))", FloatDistribution(1e-4, 1.0, log=True)),
        ("int(interval(1, 9))", IntDistribution(1, 9)),
        ("tag(log, int(interval(1, 9)))", IntDistribution(1, 9, log=True)),
        ("range(1, 10, 3)", IntDistribution(1, 7, step=3)),
        ("range(0.1, 0.5, 0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("range(5, 0, -2)", IntDistribution(1, 5, step=2)),
        ("choice(a, 'b c', 1, true)", CategoricalDistribution(("a", "b\\ c", "1", "true"))),
        ("1,2,2", CategoricalDistribution(("1", "2"))),
    ],
)
def test_ranges_are_read(text, distribution):
    space, _ = read({"x": text})
    assert space.ranges[0].distribution == distribution


@pytest.mark.parametrize(
    ("text", "value", "word"),
    [
        ("interval(0, 1)", 0.1 + 0.2, "x=0.30000000000000004"),
        ("range(0.1, 0.5, 0.1)", 0.1 + 0.1 + 0.1, "x=0.3"),
        ("tag(log, interval(1e-9, 1))", 1e-7, "x=1e-07"),
        ("int(interval(1, 9))", 4, "x=4"),
        ("choice('b c', 'd, e')", "b\\ c", "x=b\\ c"),
        ("choice('b c', 'd, e')", "d\\,\\ e", "x=d\\,\\ e"),
    ],
)
def test_a_word_is_read_as_the_same_value(text, value, word):
    space, _ = read({"x": text})
    assert space.words({"x": value}) == [word]
    read_back = str(PARSER.parse_override(word).value())
    assert read_back == word.removeprefix("x=").replace("\\", "")


def test_what_is_typed_wins():
    params = {"lr": "interval(0, 1)", "size": "choice(1, 2)", "kept": "choice(3, 4)"}
    space, fixed = read(params, None, ["lr=interval(2, 3)", "size=7", "model=mlp"])
    assert {each.name: each.distribution for each in space.ranges} == {
        "lr": FloatDistribution(2.0, 3.0),
        "kept": CategoricalDistribution(("3", "4")),
    }
    assert fixed == ["size=7", "model=mlp"]


def test_a_condition_on_what_is_typed_holds_or_not():
    when = {"optimizer=sgd": {"momentum": "interval(0, 1)"}, "optimizer=adam": {"b": "1,2"}}
    params = {"lr": "interval(0, 1)", "optimizer": "choice(sgd, adam)"}
    space, _ = read(params, when, ["optimizer=sgd"])
    assert space.words({"lr": 0.5, "optimizer=sgd: momentum": 0.9}) == ["lr=0.5", "momentum=0.9"]


def test_a_condition_reads_its_choice_as_ranges_do():
    space, _ = read({"x": "choice(true, 'b c')"}, {"x=True": {"y": "1,2"}, "x='b c'": {"z": "1,2"}})
    assert [each.condition for each in space.ranges[1:]] == [("x", "true"), ("x", "b\\ c")]


def test_every_choice_and_end_is_in_a_corner():
    params = {"lr": "interval(0, 1)", "optimizer": "choice(sgd, adam)"}
    space, _ = read(params, {"optimizer=adam": {"beta": "interval(0.5, 0.9)"}})
    words = {word for values in space.corners() for word in space.words(values)}
    assert words == {"lr=0.0", "lr=1.0", "optimizer=sgd", "optimizer=adam", "beta=0.5", "beta=0.9"}


def test_points_of_a_space_with_an_end():
    params = {"a": "choice(x, y)", "b": "range(0, 2)"}
    space, _ = read(params, {"a=x": {"c": "1,2"}})
    assert len([space.words(point) for point in space.points()]) == 6
    assert read({"a": "interval(0, 1)"})[0].points() is None


@pytest.mark.parametrize(
    ("params", "when", "words", "line"),
    [
        ({"x": "interval(0"}, None, (), "sweep.params.x=interval(0: no range that can be read"),
        ({"x": ["a"]}, None, (), "sweep.params.x=['a']: must be a range written as text"),
        ({"x": "interval(2, 1)"}, None, (), "sweep.params.x=interval(2, 1): ends below its start"),
        ({"x": "tag(log, interval(0, 1))"}, None, (), "on a log scale it must start above 0"),
        ({"x": "tag(lgo, interval(1, 2))"}, None, (), "no such tag as lgo; did you mean log?"),
        ({"x": "tag(log, choice(1, 2))"}, None, (), "log goes with an interval(...) only"),
        (None, None, ("model=mlp",), "sweep.params: nothing to search"),
        ("lr", None, (), "sweep.params=lr: must be ranges by name, or null"),
        ({"x": "1,2"}, {"x=3": {"y": "1,2"}}, (), "sweep.when.x=3: x has no such choice; known: 1"),
        ({"abc": "1,2"}, {"abd=1": {"y": "1,2"}}, (), "abd is not searched; did you mean abc?"),
        ({"x": "interval(0, 1)"}, {"x=1": {"y": "1,2"}}, (), "x is a range of numbers"),
        ({"x": "1,2"}, {"x": {"y": "1,2"}}, (), "sweep.when.x: must be a condition such as"),
    ],
)
def test_what_is_no_range_is_told_in_one_line(params, when, words, line):
    with pytest.raises(ConfigError) as error:
        read(params, when, words)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
