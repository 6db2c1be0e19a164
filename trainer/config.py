"""The checks on a composed configuration, all of them before anything is built.

The cheap ones come first, TensorFlow's import after them: a typo is reported within a second.
Every message is one line: the setting and its value, what is allowed, and the nearest name.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer import targets
from trainer.keras_arguments import NOT_BY_THE_OPTIMIZER, instead
from trainer.quiet import import_tensorflow
from trainer.run_folder import check_run_folder
from trainer.saved_config import check_saved_text
from trainer.settings import (
    MISSING,
    DataSettings,
    Settings,
    SweepSettings,
    UpdateSettings,
    WorkerSettings,
)
from trainer.suggestions import dotted_keys, nearest, nearest_setting
from trainer.targets import in_yaml


class ConfigError(ValueError):
    """A setting that cannot be trained with; the message is one line for the user."""


Sweep = TypeVar("Sweep", bound=SweepSettings)

OBJECTS = ("data", "model", "loss", "optimizer", "schedule", "strategy", "trainer")
COLLECTIONS = ("augment", "metrics", "callbacks")
OF_SWEEPS = ("sweep", "workers", "vectorize")
"""What is of a sweep as a whole: no run has it in its configuration."""
# In these groups every target that takes `num_classes` gets the data's, so null or nothing will do.
CLASSIFYING = ("augment", "model", "loss", "metrics")
# The settings that are arguments of the Trainer, under the same names.
TRAINER_SETTINGS = (
    *("log_every", "eval_every", "checkpoint_every", "keep", "keep_best", "keep_every"),
    *("monitor", "monitor_mode", "profile", "jit", "on_nonfinite"),
)
# What build.py passes to these targets, so that no YAML file need give it.
SUPPLIED = {
    "optimizer": set(NOT_BY_THE_OPTIMIZER),
    "schedule": {"learning_rate", "length"},
    "trainer": {
        *("model", "loss", "optimizer", "data", "metrics", "callbacks", "strategy", "run_dir"),
        *("update", *TRAINER_SETTINGS),
    },
}


def check(cfg: DictConfig) -> DictConfig:
    """Return the configuration resolved and typed, once everything in it has been checked.

    Args:
        cfg: as Hydra composes it.

    Returns:
        The same without interpolations, without the `hydra` node and what is of a sweep, and
        without the null entries by which a run switches off a metric, callback or augmentation.

    Raises:
        ConfigError: for the first setting that is unknown, missing or out of range, and the first
            `_target_` that does not exist or does not take its arguments.
    """
    config = _plain(cfg)
    _check_groups(config)
    config |= _typed(Settings, config)
    config["data"] |= _typed(DataSettings, config["data"], "data.")
    config["update"] = _update(config.get("update"))
    _check_together(config)
    _check_optimizer(config["optimizer"])
    _check_targets(config)
    _settle_monitor(config)
    return OmegaConf.create(config)


def check_sweep(cfg: DictConfig, schema: type[Sweep]) -> tuple[Sweep, WorkerSettings]:
    """Return the settings of a sweep as a whole, and of its workers, typed and in range.

    Args:
        cfg: as Hydra composes it.
        schema: what the keys of `sweep` are.

    Raises:
        ConfigError: for the first setting that is unknown, missing or out of range.
    """
    try:
        values = OmegaConf.to_container(cfg.sweep, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"sweep={in_yaml(values)}: an option is needed, such as sweep=grid")
    known = [setting.name for setting in fields(schema)]
    for key in values:
        if key not in known:
            raise ConfigError(f"sweep.{key!s}: no such setting; {nearest(str(key), known)}")
    of_workers = {field.name: cfg[field.name] for field in fields(WorkerSettings)}
    workers = WorkerSettings(**_typed(WorkerSettings, of_workers))
    return schema(**_typed(schema, cast(dict[str, Any], values), "sweep.")), workers


def _plain(cfg: DictConfig) -> dict[str, Any]:
    try:
        left_out = ("hydra", *OF_SWEEPS)
        cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in left_out])
        for key in OmegaConf.missing_keys(cfg):
            raise ConfigError(f"{key}: not given; add {key}=VALUE")
        config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    _check_plain("", config)
    return config


def _check_plain(path: str, value: Any, depth: int = 0) -> None:
    """Check that there is nothing but text, numbers, lists and mappings.

    YAML has tags for bytes and, with OmegaConf, paths, which functions take as they take no text.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if depth < 2 and not isinstance(key, str):
                raise ConfigError(f"{path or 'configuration'}: the key {key!r} is not text")
            _check_plain(f"{path}.{key}".lstrip("."), inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(path, inner, depth + 1)
    elif not isinstance(value, bool | int | float | str | None):
        raise ConfigError(f"{path}={value!r}: a {type(value).__name__}, not text or a number")


def _check_groups(config: dict[str, Any]) -> None:
    """Check the keys at the root and the shape of the groups; drop entries switched off."""
    keys = [*(f.name for f in fields(Settings)), "update", *OBJECTS, *COLLECTIONS]
    for key in config:
        if key not in keys:
            near = nearest_setting(key, dotted_keys({k: config.get(k) for k in keys}))
            raise ConfigError(f"{key}={in_yaml(config[key])}: no such setting; {near}")
    for key in OBJECTS:
        if not isinstance(config.get(key), dict) or "_target_" not in config[key]:
            raise ConfigError(
                f"{key}={in_yaml(config.get(key))}: an option is needed, {key}=OPTION; "
                "`python -m trainer --help` lists them"
            )
    for key in COLLECTIONS:
        entries = config.get(key) or {}
        if not isinstance(entries, dict):
            raise ConfigError(f"{key}={entries}: entries are needed, {key}.NAME._target_=...")
        config[key] = {name: entry for name, entry in entries.items() if entry is not None}
        for name, entry in config[key].items():
            if not isinstance(entry, dict) or "_target_" not in entry:
                near = nearest(name, entries.keys() - {name})
                raise ConfigError(f"{key}.{name}={in_yaml(entry)}: no _target_ to build; {near}")


def _typed(schema: type, values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the schema's settings among `values`, converted to its types and in range."""
    typed = OmegaConf.structured(schema)
    for setting in fields(schema):
        key, allowed = prefix + setting.name, setting.metadata["allowed"]
        if setting.name not in values and setting.default == MISSING:
            raise ConfigError(f"{key}: not given; it is {allowed}")
        value = values.get(setting.name, setting.default)
        try:
            typed[setting.name] = value
            valid = value is None or setting.metadata["valid"](typed[setting.name])
        except OmegaConfBaseException:
            valid = False
        except ValueError as error:  # an unreadable duration, in its own words
            raise ConfigError(f"{key}: {error}") from error
        if not valid or (isinstance(value, bool) and setting.type not in (bool, bool | str)):
            raise ConfigError(f"{key}={in_yaml(value)}: must be {allowed}")
    return {setting.name: typed[setting.name] for setting in fields(schema)}


def _update(values: Any) -> dict[str, Any]:
    known = [f.name for f in fields(UpdateSettings)]
    if not isinstance(values, dict):
        raise ConfigError(f"update={in_yaml(values)}: it has the keys {', '.join(known)}")
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"update.{key}={in_yaml(value)}: no such setting; {nearest(key, known)}"
            )
    typed = _typed(UpdateSettings, values, "update.")
    return {**typed, "weight_decay_exclude": list(typed["weight_decay_exclude"])}


def _check_together(config: dict[str, Any]) -> None:
    """Check what depends on more than one setting, and the few keys that every target has."""
    for path, node in targets.nodes({group: config[group] for group in CLASSIFYING}):
        num_classes = node.get("num_classes")
        if num_classes is not None and (not isinstance(num_classes, int) or num_classes < 1):
            raise ConfigError(
                f"{path}.num_classes={in_yaml(num_classes)}: must be at least 1, "
                "or null for as many as the data has"
            )
    batch_size, num_devices = config["data"]["batch_size"], config["strategy"].get("num_devices")
    if isinstance(num_devices, int) and num_devices > 0 and batch_size % num_devices:
        raise ConfigError(
            f"data.batch_size={batch_size}: must be divisible by strategy.num_devices="
            f"{num_devices}; choose {batch_size + -batch_size % num_devices}"
        )


def _check_optimizer(optimizer: dict[str, Any]) -> None:
    """Check the learning rate, and that nothing is left to Keras that it does wrongly here."""
    learning_rate: Any = optimizer.get("learning_rate")
    number = isinstance(learning_rate, int | float) and not isinstance(learning_rate, bool)
    if not number or not 0 < learning_rate < math.inf:
        raise ConfigError(
            f"optimizer.learning_rate={in_yaml(learning_rate)}: must be a number above 0, "
            "the peak of the schedule"
        )
    for path, node in targets.nodes(optimizer, "optimizer"):
        for key in node.keys() & NOT_BY_THE_OPTIMIZER.keys():
            raise ConfigError(f"{path}.{instead(key, node[key])}")


def _check_targets(config: dict[str, Any]) -> None:
    framework = {f.name for f in fields(DataSettings)}
    data = {key: value for key, value in config["data"].items() if key not in framework}
    nodes = list(targets.nodes(config | {"data": data}))
    try:
        for path, node in nodes:
            targets.check_name(path, node["_target_"])
        import_tensorflow()
        for path, node in nodes:
            supplied = SUPPLIED.get(path, set())
            if gets_num_classes(path, node):
                node = {key: value for key, value in node.items() if key != "num_classes"}
                supplied = {"num_classes"}
            targets.check(path, node, supplied)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _settle_monitor(config: dict[str, Any]) -> None:
    """Check that what is monitored will be there; `auto` is the accuracy, else the loss."""
    if config["monitor"] == "auto":
        config["monitor"] = "val/accuracy" if "accuracy" in config["metrics"] else "val/loss"
    rule = targets.resolve("trainer", config["trainer"]["_target_"])
    metrics = ["loss", *config["metrics"]]
    scored = [*metrics, *getattr(rule, "scores", {})]
    split, _, name = config["monitor"].partition("/")
    if name not in {"val": scored, "train": metrics}.get(split, ()):
        near = nearest(config["monitor"], [f"val/{m}" for m in scored] + ["train/loss"])
        raise ConfigError(f"monitor={config['monitor']}: no such metric; {near}")


def gets_num_classes(path: str, node: Mapping[str, Any]) -> bool:
    """Return whether a node is given the data's number of classes: it takes it, and has none.

    Args:
        path: the node's dotted name.
        node: with a `_target_`.
    """
    in_group = re.split(r"[.\[]", path)[0] in CLASSIFYING
    return in_group and node.get("num_classes") is None and targets.takes(path, node, "num_classes")


def load(run_dir: Path, overrides: Sequence[str] = ()) -> DictConfig:
    """Return a run's configuration from its folder, checked again.

    Args:
        run_dir: a run folder.
        overrides: `key=value` words for what is different here, such as `data.root=DIR`.

    Raises:
        ConfigError: if it is no run folder, or the configuration is not valid (any more).
        RunFolderError: if the folder holds links or folders where a run has files.
    """
    path = run_dir / "config.yaml"
    check_run_folder(run_dir)
    if not path.exists():
        raise ConfigError(f"{run_dir}: no run folder, it has no config.yaml")
    try:
        check_saved_text(path.read_bytes())
        cfg = cast(DictConfig, OmegaConf.load(path))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(cfg, DictConfig) or "hydra" in cfg:
        raise ConfigError(f"{path}: cannot be read: it does not hold the settings of a run")
    known = dotted_keys(cast(dict[str, Any], OmegaConf.to_container(cfg)))
    for override in overrides:
        key = override.partition("=")[0]
        if key not in known:
            raise ConfigError(f"{override}: no such setting; {nearest_setting(key, known)}")
    cfg.merge_with_dotlist(list(overrides))
    try:
        return check(cfg)
    except ConfigError as error:
        raise error if overrides else ConfigError(f"{path}: {error}") from error
