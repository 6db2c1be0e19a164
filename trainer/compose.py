"""The configuration from the words of a command line, as training has it, for other commands.

Also what is done about a word that Hydra does not take, and about what Hydra would run by itself,
in training too.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import hydra
import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from trainer.config import ConfigError, check
from trainer.explain import explain
from trainer.help import HOME, group_options
from trainer.hydra_hooks import refused_hook
from trainer.suggestions import ALIASES, closest, dotted_keys

CONF = HOME / "conf"


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's composition of a configuration, of each job of a sweep too, without its hooks.

    What it returns is the first that Hydra itself acts upon: it sets up logging, builds callbacks
    and, for a sweep, the launcher.
    """

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        """Return the composed configuration.

        Raises:
            ConfigError: if it would have Hydra run something.
        """
        cfg = super().load_configuration(*args, **kwargs)
        refusal = refused_hook(_hydra_settings(cfg))
        if refusal:
            raise ConfigError(refusal)
        return cfg


def _hydra_settings(cfg: DictConfig) -> dict[str, Any]:
    """Return the `hydra` node as it is written, and what Hydra builds from as it builds from it."""
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg.hydra))
    for name in ("launcher", "sweeper"):
        node = cfg.hydra[name]  # an interpolation may lead to a node elsewhere, or make one
        settings[name] = OmegaConf.to_container(node, resolve=True) if node else node
    return settings


@contextmanager
def without_hooks() -> Iterator[None]:
    """Have Hydra compose with `CheckedLoader`; it has no public way to be given one."""
    module: Any = hydra._internal.hydra
    loader, module.ConfigLoaderImpl = module.ConfigLoaderImpl, CheckedLoader
    try:
        yield
    finally:
        module.ConfigLoaderImpl = loader


def compose(words: Sequence[str]) -> tuple[DictConfig, Path]:
    """Return a checked configuration, and the folder that its run would have.

    Args:
        words: `GROUP=OPTION` and `KEY=VALUE`, as for training.

    Raises:
        ConfigError: with the line that training would answer with.
    """
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"{word}: no flags are taken here, only KEY=VALUE such as seed=1")
    try:
        with without_hooks(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra.compose("config", list(words), return_hydra_config=True)
        run_dir = Path(cfg.hydra.run.dir)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        retry = with_new_argument(words, error)
        if retry != list(words):
            return compose(retry)
        raise ConfigError(in_one_line(error, words)) from error
    return check(cfg), run_dir


def divide(words: Sequence[str], own: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Divide words into a command's own settings and what training takes.

    Args:
        words: of the command line.
        own: the command's settings, name to default.

    Returns:
        The command's settings by name, and the other words.
    """
    settings, others = dict(own), []
    for word in words:
        name, equals, value = word.partition("=")
        if name in own and equals:
            settings[name] = value
        else:
            others.append(word)
    return settings, others


def with_new_argument(words: Sequence[str], error: BaseException) -> list[str]:
    """Return the words with `++` before an argument that a target may take unlisted.

    Hydra refuses every key that the YAML file does not list, such as optimizer.amsgrad. Unless it
    looks like a listed one it is let through: `config.check` knows what the target takes.
    """
    node, key = _where_missing(error)
    name = key.rpartition(".")[2]
    if "_target_" not in node or name in ALIASES or closest(name, node, cutoff=0.85):
        return list(words)
    return [f"++{word}" if word.partition("=")[0] == key else word for word in words]


def in_one_line(error: BaseException, words: Sequence[str]) -> str:
    """Return what is wrong with the words, or with a configuration file."""
    node, key = _where_missing(error)
    group = key.rpartition(".")[0]
    beside = dotted_keys(node, f"{group}.") if group else dotted_keys({**node, "hydra": None})
    return explain(error, words, group_options(CONF), beside)


def _where_missing(error: BaseException) -> tuple[dict[str, Any], str]:
    """Return the node without interpolations, and the full name of the key that it lacks."""
    cause = error.__cause__
    node, key = getattr(cause, "parent_node", None), getattr(cause, "full_key", None)
    if node is None or not key:
        return {}, ""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=False)), key
