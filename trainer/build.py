"""From a checked configuration to a Trainer, in reading order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
from omegaconf import DictConfig, OmegaConf

from trainer import targets
from trainer.callbacks.config_text import ConfigText
from trainer.config import (
    CLASSIFYING,
    TRAINER_SETTINGS,
    ConfigError,
    DataSettings,
    gets_num_classes,
)
from trainer.data.class_weights import weighted
from trainer.data.data import Data
from trainer.data.dataset import Arrays, DataSet, check_arrays, num_examples
from trainer.data.placement import check_readable, choose_feed, read_into_memory
from trainer.data.splits import hold_out, limit
from trainer.data.statistics import channel_statistics
from trainer.losses import PerExampleLoss
from trainer.optimizers import set_schedule
from trainer.precision import enable_determinism, set_policy
from trainer.trainer import Trainer
from trainer.update import Update


@dataclass(frozen=True)
class Built:
    """What a configuration became.

    Args:
        trainer: ready to `fit` or `evaluate`.
        duration: what to give to `fit`.
        precision: the dtype policy that `precision` resolved to.
        splits: the arrays of each split, in memory or on disk.
        notes: lines that the summary of the run must not leave unsaid.
    """

    trainer: Trainer
    duration: str
    precision: str
    splits: Mapping[str, Arrays]
    notes: list[str]


def build(cfg: DictConfig, run_dir: Path | None) -> Built:
    """Build everything; whatever can be wrong is found before the first image is read.

    Args:
        cfg: as `config.check` returns it.
        run_dir: where the run keeps its files; None writes nothing.

    Raises:
        ConfigError: one line, where a part refuses its arguments or the parts do not fit together.
    """
    config: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    if config["deterministic"]:
        enable_determinism()
    with _blaming("strategy"):
        strategy = targets.instantiate(config["strategy"])
    precision = set_policy(config["precision"])
    data_set = _data_set(config["data"])
    _fill_in_num_classes(config, len(data_set.class_names), data_set.name)
    with strategy.scope():
        with _blaming("model"):
            model = targets.instantiate(config["model"])
        with _blaming("optimizer"):
            optimizer = targets.instantiate(config["optimizer"])
    with _blaming("loss"):
        loss = targets.instantiate(config["loss"])
    with _blaming("update"):
        update = Update(**config["update"])
    metrics = _instantiate_each(config, "metrics")
    callbacks = _instantiate_each(config, "callbacks")
    augment = _instantiate_each(config, "augment")

    splits, notes = _splits(config, data_set)
    feed, splits = _placed(config["data"]["feed"], splits)
    if feed == "streamed":
        notes.append("examples are read from disk while training (data.feed=streamed)")
    mean, std = _standardisation(config["data"]["standardise"], splits["train"], model)
    with _blaming("data"):
        data = Data(
            train=splits["train"],
            val=splits.get("val"),
            test=splits.get("test"),
            batch_size=config["data"]["batch_size"],
            augment=augment,
            class_names=data_set.class_names,
            mean=mean,
            std=std,
            seed=config["seed"],
            feed=feed,
        )
    length = data.run_length(config["duration"])
    if config["augment_until"] is not None:
        with _blaming("augment_until"):
            data.transform.augment_until = length.steps(config["augment_until"])
    with _blaming("trainer"):
        trainer = targets.instantiate(
            config["trainer"],
            model=model,
            loss=loss,
            optimizer=optimizer,
            data=data,
            metrics=metrics,
            callbacks=[*callbacks.values(), ConfigText(OmegaConf.to_yaml(cfg))],
            strategy=strategy,
            update=update,
            run_dir=run_dir,
            **{name: config[name] for name in TRAINER_SETTINGS},
        )
    updates = length.in_updates(update.accumulate_steps)
    with _blaming("schedule"), strategy.scope():
        set_schedule(
            optimizer,
            lambda peak: targets.instantiate(
                config["schedule"], learning_rate=peak, length=updates
            ),
        )
    return Built(trainer, config["duration"], precision, splits, notes)


def build_model(cfg: DictConfig, class_names: Sequence[str]) -> keras.Model:
    """Build the model of a configuration alone, without the data, its weights not yet made.

    Args:
        cfg: as `config.check` returns it.
        class_names: of the data.

    Raises:
        ConfigError: one line, where it refuses its arguments or the classes.
    """
    with _blaming("model"):
        return targets.instantiate(model_settings(cfg, class_names))


def model_settings(cfg: DictConfig, class_names: Sequence[str]) -> dict[str, Any]:
    """Return a configuration's `model` with the number of classes in it, as plain values.

    Args:
        cfg: as `config.check` returns it.
        class_names: of the data.

    Raises:
        ConfigError: one line, where it refuses the classes.
    """
    return _settings_of("model", cfg, class_names)


def build_loss(cfg: DictConfig, class_names: Sequence[str]) -> PerExampleLoss:
    """Build the loss of a configuration alone, without the data.

    Args:
        cfg: as `config.check` returns it.
        class_names: of the data.

    Raises:
        ConfigError: one line, where it refuses its arguments or the classes.
    """
    with _blaming("loss"):
        return targets.instantiate(_settings_of("loss", cfg, class_names))


def _settings_of(part: str, cfg: DictConfig, class_names: Sequence[str]) -> dict[str, Any]:
    config: dict[str, Any] = {part: OmegaConf.to_container(cfg[part])}
    _fill_in_num_classes(config, len(class_names), "the run's data")
    return config[part]


def _data_set(node: Mapping[str, Any]) -> DataSet:
    framework_keys = {field.name for field in fields(DataSettings)}
    with _blaming("data"):
        return targets.instantiate({k: v for k, v in node.items() if k not in framework_keys})


def _fill_in_num_classes(config: dict[str, Any], num_classes: int, data_name: str) -> None:
    """Give every target that takes `num_classes` the data's; check those that have it already."""
    num_classes = max(1, num_classes)
    # Two classes may be told apart by one output: the logit of the second one.
    fitting = (num_classes, 1) if num_classes == 2 else (num_classes,)
    groups = {group: config[group] for group in CLASSIFYING if group in config}
    for path, node in list(targets.nodes(groups)):
        if gets_num_classes(path, node):
            node["num_classes"] = num_classes
        elif node.get("num_classes", num_classes) not in fitting:
            raise ConfigError(
                f"{path}.num_classes={node['num_classes']}, but {data_name} has {num_classes} "
                f"classes; leave it out, or set {path}.num_classes={num_classes}"
            )


def _splits(config: Mapping[str, Any], data_set: DataSet) -> tuple[dict[str, Arrays], list[str]]:
    settings = config["data"]
    with _blaming("data"):
        splits = data_set.load()
        check_arrays(data_set, splits)
        validation, split_seed = settings["validation"], settings["split_seed"]
        splits, note = hold_out(splits, validation, split_seed, settings["test"])
        if settings["limit"] is not None:
            splits = {split: limit(arrays, settings["limit"]) for split, arrays in splits.items()}
        if settings["class_weight"] is not None:
            class_weight, class_names = settings["class_weight"], data_set.class_names
            splits["train"] = weighted(splits["train"], class_weight, class_names)
    if config["overfit_batches"] is None:
        return splits, [note]
    end = config["overfit_batches"] * settings["batch_size"]
    train = {key: array[:end] for key, array in splits["train"].items()}
    note = f"train and val are the same {num_examples(train):,} examples (overfit_batches)"
    return {"train": train, "val": train}, [note]


def _placed(feed: str, splits: dict[str, Arrays]) -> tuple[str, dict[str, Arrays]]:
    """Return how the splits are fed; what is on disk has then been read, or read through."""
    with _blaming("data"):
        feed = choose_feed(feed, splits)
        if feed == "resident":
            return feed, read_into_memory(splits)
        check_readable(splits)
        return feed, splits


def _standardisation(
    setting: str, train: Arrays, model: keras.Model
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if "image" not in train and setting in ("channel", "global"):
        raise ConfigError(f"data.standardise={setting}: the data has no images; leave it out")
    if setting == "auto":
        setting = "none" if getattr(model, "preprocesses_images", False) else "channel"
    if setting == "none" or "image" not in train:
        return None, None
    return channel_statistics(train["image"], over_channels=setting == "global")


def _instantiate_each(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    objects = {}
    for name, node in config[group].items():
        with _blaming(f"{group}.{name}"):
            objects[name] = targets.instantiate(node)
    return objects


@contextmanager
def _blaming(part: str) -> Iterator[None]:
    """Turn what a part refuses into one line that names the part."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, OSError) as error:
        # Keras writes parts of its messages in bold.
        message = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
        raise ConfigError(message if message.startswith(part) else f"{part}: {message}") from error
