"""Which of a run's settings TensorBoard's HParams page shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.sweep_folder import varied_in

_LEFT_OUT = (
    *("name", "resume", "log_every", "checkpoint_every", "keep", "keep_best", "keep_every"),
    *("profile", "callbacks", "data.root", "data.feed", "data.source", "monitor", "monitor_mode"),
)
"""Settings that say where a run keeps what, and not what it trains."""


def session_settings(run_dir: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run's session: in a sweep, those alone that the sweep varies.

    Args:
        run_dir: the run folder; a sweep's has `sweep.json` beside it.
        config: the resolved configuration as plain values.
    """
    found = {}
    for name in varied_in(run_dir.parent):
        value = _named(config, name.lstrip("+~"))
        if value is not None:
            found[name.lstrip("+~")] = value
    return found or settings_of(config)


def settings_of(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Return the settings that make a run what it is, as the page takes them.

    A part that is built is named by its class or function, such as `model: MiniInception`, beside
    its arguments; lists and nulls become text.

    Args:
        config: the resolved configuration as plain values.
    """
    return dict(_flat(config, ""))


def _named(config: Mapping[str, Any], name: str) -> bool | int | float | str | None:
    """Return a setting, the class of a part or the classes of a collection; None if not there."""
    if name == "experiment":
        return str(config.get("name"))
    node: Any = config
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    if not isinstance(node, Mapping):
        return node if isinstance(node, bool | int | float | str) else str(node)
    if "_target_" in node:
        return _class_name(node)
    parts = [_class_name(part) for part in node.values() if isinstance(part, Mapping)]
    return ", ".join(parts) or "none"


def _class_name(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_")).rpartition(".")[2]


def _flat(node: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in _LEFT_OUT or key in ("_partial_", "_convert_"):
            continue
        if key == "_target_":
            found.append((prefix.removesuffix("."), _class_name(node)))
        elif isinstance(value, Mapping):
            found += _flat(value, f"{name}.")
        elif isinstance(value, bool | int | float | str):
            found.append((name, value))
        else:
            found.append((name, str(value)))
    return found
