"""Whether a command goes on with the run in its folder, or means another one."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.targets import in_yaml

logger = logging.getLogger(__name__)

NOT_COMPARED = ("resume",)
# Of the manifest: what the bits of a result depend on, beside the settings and the data.
MACHINE = ("precision", "packages", "python", "devices", "cpus", "intra_op_threads")
_SHOWN = 5


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return what differs between two configurations, `key: value there, value here`.

    Args:
        there: of the run folder, plain values.
        here: of the command, plain values.
    """
    flat_there, flat_here = _flat(there), _flat(here)
    keys = [key for key in {**flat_there, **flat_here} if key not in NOT_COMPARED]
    return [
        f"{key}: {flat_there.get(key, 'absent')} there, {flat_here.get(key, 'absent')} here"
        for key in keys
        if flat_there.get(key) != flat_here.get(key)
    ]


def refusal(
    run_dir: Path, differing: list[str], elsewhere: str = "folder with hydra.run.dir=DIR"
) -> str:
    """Return the line by which a command of other settings is refused.

    Args:
        run_dir: the run folder.
        differing: what `differences` found.
        elsewhere: what the user may choose another one of.
    """
    shown = "; ".join(differing[:_SHOWN])
    more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return (
        f"{run_dir}: the run in this folder was begun otherwise ({shown}{more}); add resume=folder "
        "to go on as it was begun, resume=command to go on as this command says, or choose "
        f"another {elsewhere}"
    )


def data_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return the splits and ingredients that are not those that the run was begun with.

    Args:
        there: the manifest in the folder.
        here: the manifest of now.
    """
    splits = [
        f"data: the {split} split holds other examples"
        for split, facts in there.get("data", {}).items()
        if here["data"].get(split) != facts
    ]
    return splits + [
        f"{name}: another one than then"
        for name, facts in there.get("ingredients", {}).items()
        if here["ingredients"].get(name) != facts
    ]


def warn_of_another_machine(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Say which facts differ on which the last bits of a result depend."""
    before, now = ({key: m.get(key) for key in MACHINE} for m in (there, here))
    differing = differences(before, now)
    if differing:
        logger.warning(
            "gone on under other conditions, so that results may differ in their last bits: %s",
            "; ".join(differing),
        )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest in a run folder; empty, and said aloud, where it cannot be read."""
    if not path.exists():
        logger.warning("%s is gone: the data of before cannot be compared", path)
        return {}
    try:
        facts = json.loads(path.read_text())
        compared = ("data", "ingredients")
        if isinstance(facts, dict) and all(isinstance(facts.get(k, {}), dict) for k in compared):
            return facts
    except (ValueError, OSError, RecursionError):
        pass
    damaged = path.with_name(f"{path.name}.damaged")
    logger.warning("%s cannot be read; it is written anew (kept as %s)", path, damaged.name)
    path.replace(damaged)
    return {}


def _flat(config: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(config, Mapping) and config:
        flat: dict[str, str] = {}
        for key, value in config.items():
            flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
        return flat
    return {prefix: in_yaml(config)}
