from collections.abc import Sequence
from typing import Any, Literal

import keras
import pytest

from trainer.durations import Duration
from trainer.signatures import signature


def annotated(
    number: float,
    whole: int,
    flag: bool,
    text: str,
    maybe: int | None,
    defaulted: int = None,  # noqa: RUF013
    choice: Literal["a", "b"] = "a",
    duration: str | Duration = "1ep",
    shape: tuple[int, int] = (1, 1),
    names: Sequence[str] = (),
    table: dict[str, Any] | None = None,
    anything: Any = 0,
) -> None: ...


def unannotated(required, number=0.5, whole=1, flag=False, text="x", nothing=None): ...


@pytest.mark.parametrize(
    ("function", "argument", "fits", "refused", "wanted"),
    [
        (annotated, "number", [1, 0.5], [True, "1", None, [1]], "a number"),
        (annotated, "whole", [1, -1], [1.5, True, "1"], "a whole number"),
        (annotated, "flag", [True], [0, "true"], "true or false"),
        (annotated, "text", ["x"], [1, None, ["x"]], "text"),
        (annotated, "maybe", [1, None], ["x"], "a whole number or null"),
        (annotated, "defaulted", [1, None], ["x"], "a whole number or null"),
        (annotated, "choice", ["a"], ["c", 1], "one of a, b"),
        (annotated, "duration", ["5%"], [5], "text or Duration"),
        (
            annotated,
            "shape",
            [[1, 2]],
            [[1], [1, "x"], 3],
            "a list (a whole number, a whole number)",
        ),
        (annotated, "names", [["x"], []], ["x", [1]], "a list (text)"),
        (annotated, "table", [{"a": 1}, None], [[1]], "a mapping or null"),
        (annotated, "anything", [None, 1, "x", [1]], [], None),
        (unannotated, "required", [None, 1, "x"], [], None),
        (unannotated, "number", [1, 0.5], [True, "x", None], "a number"),
        (unannotated, "whole", [1, 0.01, [1, 2]], [True, "x"], "a number or a list"),
        (unannotated, "flag", [True], [1, None], "true or false"),
        (unannotated, "text", ["y", None], [1, True], "text or null"),
        (unannotated, "nothing", [None, 1, "x"], [], None),
    ],
)
def test_values_are_held_to_the_annotation_or_the_default(
    function, argument, fits, refused, wanted
):
    found = signature(function).arguments[argument]
    assert [found.wants(value) for value in fits] == [None] * len(fits)
    assert [found.wants(value) for value in refused] == [wanted] * len(refused)


def test_a_nested_node_fits_everywhere():
    assert signature(annotated).arguments["number"].wants({"_target_": "keras.losses.MSE"}) is None


def test_required_arguments_are_those_without_default():
    required = {n for n, a in signature(unannotated).arguments.items() if a.required}
    assert required == {"required"}


def test_keras_arguments_are_collected_through_the_base_classes():
    adamw = signature(keras.optimizers.AdamW)
    assert {"learning_rate", "beta_1", "amsgrad", "clipnorm"} <= adamw.arguments.keys()
    assert not adamw.takes_others
    plateau = signature(keras.callbacks.ReduceLROnPlateau).arguments
    assert "monitor" in plateau and "self" not in plateau


def test_a_class_without_kwargs_takes_only_its_own_arguments():
    assert "min_lr" not in signature(keras.callbacks.EarlyStopping).arguments
    assert signature(type("Bare", (), {})).arguments == {}


def test_a_function_with_kwargs_takes_anything():
    def function(a: int, **others: Any) -> None: ...

    assert signature(function).takes_others


def test_an_annotation_that_cannot_be_looked_up_restricts_nothing():
    def function(a: "NowhereDefined", b: float = 0.5) -> None: ...  # noqa: F821

    assert signature(function).arguments["a"].wants("x") is None
    assert signature(function).arguments["b"].wants("x") == "a number"
