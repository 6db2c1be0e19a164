"""What a callable takes: its arguments through the class hierarchy, and which values fit them.

Values are those of YAML: null, booleans, numbers, text, lists and mappings.
"""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)


@dataclass(frozen=True)
class Argument:
    """An argument that can be given by keyword.

    Args:
        hint: the type it takes; `Any` where nothing is known.
        required: whether it has no default.
    """

    hint: Any
    required: bool

    def wants(self, value: Any) -> str | None:
        """Return None if `value` fits, else what would, in words."""
        return None if _fits(value, self.hint) else _in_words(self.hint)


@dataclass(frozen=True)
class Signature:
    """All arguments by name, and whether any others are taken too."""

    arguments: dict[str, Argument]
    takes_others: bool


def signature(target: Callable[..., Any]) -> Signature:
    """Return what a function or a class takes.

    Where a class hands `**kwargs` up, as Keras classes do, the arguments of its bases count, and
    nothing else does: Keras refuses the rest too, but later and less clearly.
    """
    if not inspect.isclass(target):
        return Signature(*_arguments(target))
    initialisers = [vars(c)["__init__"] for c in target.__mro__[:-1] if "__init__" in vars(c)]
    if not initialisers:
        return Signature({}, takes_others=False)
    arguments, hands_up = _arguments(initialisers[0])
    for initialiser in initialisers[1:] if hands_up else ():
        for name, argument in _arguments(initialiser)[0].items():
            arguments.setdefault(name, Argument(argument.hint, required=False))
    arguments.pop("self", None)
    return Signature(arguments, takes_others=False)


def _arguments(function: Callable[..., Any]) -> tuple[dict[str, Argument], bool]:
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # a forward reference that cannot be looked up: any exception at all
        hints = {}
    parameters = inspect.signature(function).parameters.values()
    arguments = {
        p.name: Argument(_hint(hints.get(p.name), p.default), required=p.default is p.empty)
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    return arguments, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _hint(annotation: Any, default: Any) -> Any:
    """Return the annotation, or, as in all of Keras, what the default tells; when unsure, Any."""
    if annotation is not None:
        return typing.Optional[annotation] if default is None else annotation  # noqa: UP045
    if isinstance(default, bool):
        return bool
    if isinstance(default, int):  # `axis=-1` may be a list, `min_delta=0` may be 0.01
        return float | list
    if isinstance(default, float):
        return float
    if isinstance(default, str):  # `reduction` and `name` may be None
        return str | None
    return Any


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any or (isinstance(value, dict) and "_target_" in value):
        return True
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in _LISTS:
        return isinstance(value, list) and _elements_fit(value, origin, parts)
    if origin in _MAPPINGS:
        return isinstance(value, dict)
    return not isinstance(origin, type) or isinstance(value, origin)


def _elements_fit(values: list[Any], origin: Any, parts: tuple[Any, ...]) -> bool:
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return len(values) == len(parts) and all(map(_fits, values, parts))
    return not parts or all(_fits(value, parts[0]) for value in values)


def _in_words(hint: Any) -> str:
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_in_words(part) for part in parts)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in _LISTS:
        each = ", ".join(_in_words(part) for part in parts if part is not Ellipsis)
        return f"a list ({each})" if each else "a list"
    if origin in _MAPPINGS:
        return "a mapping"
    return _NAMES.get(origin, getattr(origin, "__name__", str(origin)))
