"""From the overrides of a sweep to its jobs, each checked before the first one starts."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict

from trainer.compose import CONF
from trainer.config import ConfigError, check, load
from trainer.same_run import differences, refusal
from trainer.sweep.job import Job
from trainer.sweep.watched_run import has_finished

_LONGEST_NAME = 150
"""Bytes of a folder's name; file systems take 255, and files beside it have longer names."""
_FLAGS = {"main": "--config-path", "command-line": "--config-dir"}
"""By what Hydra calls whoever named a folder of options."""
_CONFIG = "config"
_OF_THE_SWEEP = re.compile(r"(\+*|~)(sweep|workers|vectorize)\b")


def words_of_a_job(words: Sequence[str]) -> list[str]:
    """Return the words that are a job's own, without those of the sweep as a whole."""
    return [word for word in words if not _OF_THE_SWEEP.match(word)]


class Planner:
    """Makes jobs of overrides.

    Args:
        loader: Hydra's, which composes configurations.
        master: the configuration of the sweep, with its `hydra` node.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self.folder = Path(master.hydra.sweep.dir)
        self._words_of_all = _search_path(master)

    def job(self, words: Sequence[str], number: int, name: str | None = None) -> Job:
        """Return the job of some overrides; nothing is written.

        Args:
            words: as typed, those of all jobs among them.
            number: of the job in the sweep.
            name: of its folder; None: as `hydra.sweep.subdir` says.

        Raises:
            ConfigError: if it cannot be trained with, in one line that names the job.
            HydraException: if it cannot be composed.
        """
        own = words_of_a_job(words)
        cfg = self._loader.load_sweep_config(self._master, own)
        with open_dict(cfg):
            cfg.hydra.job.num = number
            cfg.hydra.job.id = number
        name = folder_name(name or str(cfg.hydra.sweep.subdir))
        try:
            config = cast(dict[str, Any], OmegaConf.to_container(check(cfg)))
        except ConfigError as error:
            raise ConfigError(f"[{name}] {error}") from error
        return Job(
            name=name,
            label=name,
            words=[*self._words_of_all, *own],  # flags come first
            run_dir=self.folder / name,
            log=self.folder / "logs" / f"{name}.log",
            config=config,
        )


def is_finished(job: Job) -> bool:
    """Return whether a job's folder holds the finished run of its configuration.

    Raises:
        ConfigError: if the folder holds a run that was begun with other settings, unless the
            command says with `resume` whose settings are to win.
        RunFolderError: if the folder holds links or folders where a run has files.
    """
    # As the run itself does: without a checkpoint there is nothing to go on with.
    is_begun = (job.run_dir / "config.yaml").exists()
    if not is_begun or not any(job.run_dir.glob("checkpoints/*.safetensors")):
        return False
    there = OmegaConf.to_container(load(job.run_dir))
    differing = differences(cast(Mapping[str, Any], there), job.config)
    if differing and job.config["resume"] == "same":
        raise ConfigError(refusal(job.run_dir, differing, elsewhere="sweep.name=NAME"))
    return (not differing or job.config["resume"] == "folder") and has_finished(job.run_dir)


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return for each job the words that not all of them have, as one text.

    >>> labels([["seed=0", "duration=1ep"], ["seed=1", "duration=1ep"]])
    ['seed=0', 'seed=1']
    """
    in_all = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    return [" ".join(w for w in words if w not in in_all) or " ".join(words) for words in jobs]


def varied_names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return the names that not all jobs give the same value, in the order in which they come."""
    in_all = set.intersection(*map(set, jobs)) if jobs else set()
    own = [word for words in jobs for word in words if word not in in_all]
    return list(dict.fromkeys(word.partition("=")[0].lstrip("+~") for word in own))


def folder_name(name: str) -> str:
    """Return a name as that of one folder: no slashes, and no longer than file systems take."""
    safe = re.sub(r"[/\\\0\n\r]", "_", name).lstrip(".") or "_"
    encoded = safe.encode()
    if len(encoded) <= _LONGEST_NAME:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:10]
    return f"{encoded[: _LONGEST_NAME - 11].decode(errors='ignore')}~{digest}"


def _search_path(master: DictConfig) -> list[str]:
    """Return the words by which a job finds the files that the sweep found."""
    flags = []
    for source in master.hydra.runtime.config_sources:
        is_usual = source.provider == "main" and Path(source.path) == CONF
        if source.schema == "file" and source.provider in _FLAGS and not is_usual:
            flags += [_FLAGS[source.provider], source.path]
    if master.hydra.job.config_name != _CONFIG:
        flags += ["--config-name", master.hydra.job.config_name]
    given = [str(word) for word in master.hydra.overrides.hydra]
    return [*flags, *(word for word in given if word.startswith("hydra.searchpath="))]
