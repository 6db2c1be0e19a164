"""`_target_` nodes: from a dotted name and arguments to an object, through one narrow door.

A configuration may be somebody else's file, so only names of this project and the building blocks
of Keras are looked up at all: everything else is refused before it is imported.

Further packages are listed in the environment variable `TAPELOOP_TARGETS`, which no configuration
can set: dotted names, separated by spaces or commas, each with all that is in it
(`TAPELOOP_TARGETS="keras_hub.layers my_lab" python -m trainer ...`).
"""

import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer.signatures import signature
from trainer.suggestions import nearest

_KERAS = (
    "layers losses metrics optimizers callbacks regularizers initializers activations "
    "constraints applications"
)
OWN = ("trainer", "models", "experiments")
ALLOWED = (*OWN, *(f"keras.{part}" for part in _KERAS.split()))
# What lies in those modules and runs code from its arguments, or sends data away.
REFUSED = {"Lambda", "TFSMLayer", "RemoteMonitor", "deserialize", "get"}
LISTED = "TAPELOOP_TARGETS"
HOME = Path(__file__).resolve().parent.parent


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping with a `_target_` inside plain containers, outermost first.

    Args:
        value: mappings, lists and plain values.
        path: the dotted name of `value` itself, empty at the root.

    Yields:
        (path, node), such as `("metrics.accuracy", {"_target_": ...})`.
    """
    if isinstance(value, dict):
        if "_target_" in value:
            yield path, value
        for key, inner in value.items():
            yield from nodes(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from nodes(inner, f"{path}[{index}]")


def check_name(path: str, name: Any) -> None:
    """Check a `_target_` against the allow-list; import nothing.

    Args:
        path: the node's dotted name, for messages.
        name: its `_target_`.

    Raises:
        ValueError: if it is not a dotted name that may be built, or its package is another one
            that merely has the same name.
    """
    where = f"{path}._target_={in_yaml(name)}:".lstrip(".")
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"{where} not a dotted name such as keras.optimizers.SGD")
    parts = name.split(".")
    root = ".".join(parts[:2]) if parts[0] == "keras" else parts[0]
    if not is_listed(name) and (root not in ALLOWED or name == root):
        ways_out = f"wrap it in experiments/, or list its package in {LISTED}"
        raise ValueError(
            f"{where} only names in trainer, models, experiments and parts of keras may be built; "
            + (nearest(root, ALLOWED) if parts[0] == "keras" else ways_out)
        )
    is_private = any(part.startswith("_") for part in parts)
    if REFUSED & set(parts) or is_private or parts[:2] == ["trainer", "commands"]:
        raise ValueError(f"{where} may not be built from a configuration, only in your own code")
    if root in OWN:
        _check_place(where, root)


def resolve(path: str, name: str) -> Callable[..., Any]:
    """Import what a `_target_` names.

    Args:
        path: the node's dotted name, for messages.
        name: its `_target_`.

    Raises:
        ValueError: if it may not be built, or does not exist.
    """
    check_name(path, name)
    where, parts = f"{path}._target_={name}:".lstrip("."), name.split(".")
    module = _import(parts)
    attribute, *inner = parts[module.__name__.count(".") + 1 :]
    found = getattr(module, attribute, None)
    # A module's imports are attributes of it too: models.my_model.os.system must not be found.
    if found is None or inspect.ismodule(found):
        near = nearest(attribute, _names_in(module))
        raise ValueError(f"{where} {module.__name__} has no {attribute!r}; {near}")
    if inner or not callable(found) or not _is_at_home(found, parts[0]):
        raise ValueError(f"{where} not a class or a function of that package; name one that is")
    return found


def check(path: str, node: Mapping[str, Any], supplied: Collection[str] = ()) -> None:
    """Check that a node's target exists and takes the node's arguments.

    Args:
        path: the node's dotted name, for messages.
        node: `_target_`, perhaps `_partial_`, and arguments.
        supplied: arguments that `instantiate` will be given besides: the node need not give them,
            and may not.

    Raises:
        ValueError: naming the first argument that is wrong or missing.
    """
    name = node["_target_"]
    target = signature(resolve(path, name))
    known = {n: a for n, a in target.arguments.items() if n not in supplied}
    given = {n: value for n, value in node.items() if n not in ("_target_", "_partial_")}
    for key, value in given.items():
        _check_no_keras_config(f"{path}.{key}", value)
        where = f"{path}.{key}={in_yaml(value)}: {name}"
        if key in supplied:
            raise ValueError(f"{where} gets this from the rest of the configuration; leave it out")
        if key in known:
            wanted = known[key].wants(value)
            if wanted:
                raise ValueError(f"{where} takes {wanted} here")
        elif not target.takes_others:
            raise ValueError(f"{where} has no argument {key!r}; {nearest(str(key), known)}")
    if node.get("_partial_"):
        return
    missing = [key for key, argument in known.items() if argument.required and key not in given]
    if missing:
        raise ValueError(f"{path}: {name} needs {missing[0]!r}; give {path}.{missing[0]}=VALUE")


def takes(path: str, node: Mapping[str, Any], argument: str) -> bool:
    """Return whether a node's target has an argument of that name.

    Args:
        path: the node's dotted name, for messages.
        node: with a `_target_`.
        argument: its name.

    Raises:
        ValueError: if the target may not be built, or does not exist.
    """
    return argument in signature(resolve(path, node["_target_"])).arguments


def instantiate(node: Mapping[str, Any], **supplied: Any) -> Any:
    """Build a node: its nested nodes first, then its target with all arguments.

    Args:
        node: `_target_`, perhaps `_partial_: true` (for a function that is called later), and
            arguments as plain containers.
        **supplied: further arguments; they win over the node's own.
    """
    target = resolve("", node["_target_"])
    arguments = {k: _built(v) for k, v in node.items() if k not in ("_target_", "_partial_")}
    if node.get("_partial_"):
        return functools.partial(target, **arguments | supplied)
    return target(**arguments | supplied)


def in_yaml(value: Any) -> str:
    """Write a value as on the command line: `null`, `true`, `0.1`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _built(value: Any) -> Any:
    if isinstance(value, dict):
        if "_target_" in value:
            return instantiate(value)
        _check_no_keras_config("", value)
        return {key: _built(inner) for key, inner in value.items()}
    return [_built(inner) for inner in value] if isinstance(value, list) else value


def is_listed(name: str) -> bool:
    """Return whether the user has listed a dotted name, or a package around it."""
    listed = os.environ.get(LISTED, "").replace(",", " ").split()
    return any(f"{name}.".startswith(f"{package}.") for package in listed)


def _check_no_keras_config(path: str, value: Any) -> None:
    """Check that a value holds no mapping from which Keras would build by names of its own.

    `{class_name: ..., module: ..., config: ...}` has Keras import the module, whatever it is.
    """
    if isinstance(value, list):
        for inner in value:
            _check_no_keras_config(path, inner)
    elif isinstance(value, dict):
        if "class_name" in value and "_target_" not in value:
            where = f"{path}.class_name={in_yaml(value['class_name'])}:".lstrip(".")
            raise ValueError(
                f"{where} Keras would look this up unchecked; name the class in _target_, and its "
                "arguments beside it"
            )
        for inner in value.values():
            _check_no_keras_config(path, inner)


def _is_at_home(found: Any, package: str) -> bool:
    """Whether an object is of its package, not one that a module there has only imported."""
    root = (getattr(found, "__module__", None) or "").split(".")[0]
    return root in OWN if package in OWN else root == package


def _names_in(module: ModuleType) -> list[str]:
    """Return the public names that may be built, and those of the modules inside."""
    names = [name for name in dir(module) if not name.startswith("_") and name not in REFUSED]
    package = module.__name__.split(".")[0]
    modules = [inner.name for inner in pkgutil.iter_modules(getattr(module, "__path__", []))]
    return modules + [name for name in names if _is_at_home(getattr(module, name), package)]


def _import(parts: list[str]) -> ModuleType:
    """Import the longest module path that `parts` begins with."""
    for used in range(len(parts) - 1, 1, -1):
        module = ".".join(parts[:used])
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module is there; something that it imports is not
    return importlib.import_module(parts[0])


def _check_place(where: str, package: str) -> None:
    """Check that a package of this project is the one beside this file."""
    spec = importlib.util.find_spec(package)
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    if HOME / package not in places:
        raise ValueError(
            f"{where} the package {package} is found in {places[0] if places else 'no folder'}, "
            f"not in {HOME}; start in another folder, or with the command `trainer`"
        )
