"""Hydra's sweeper of `-m`: every combination, or a search that proposes what to try next."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from trainer.config import ConfigError
from trainer.signals import EXIT_CODE_INTERRUPTED
from trainer.sweep.finish import SweepEndedError
from trainer.sweep.launcher import TapeLoopLauncher
from trainer.targets import in_yaml


class TapeLoopSweeper(Sweeper):
    """Runs every combination of the values that commas separate, as Hydra's own sweeper does.

    With an option of `sweep` that names a sampler, such as `sweep=tpe`, it searches instead.

    Args:
        params: values by name, which a file may give in place of the command line; that wins.
        max_batch_size: jobs that are given to the launcher at once; None: all of them.
    """

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    def __init__(
        self, params: Mapping[str, Any] | None = None, max_batch_size: int | None = None
    ) -> None:
        self._params = dict(params or {})
        self._max_batch_size = max_batch_size

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives, and make the launcher that the configuration names."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run a sweep; `arguments` are the words of the command line that are not Hydra's."""
        words = [*(f"{name}={value}" for name, value in self._params.items()), *arguments]
        if "sampler" in (self.config.sweep or {}):
            return self._search(words)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs = combinations(parser.parse_overrides(words))
        size = len(jobs) if self._max_batch_size is None else self._max_batch_size
        if not isinstance(size, int) or size < 1:
            raise ConfigError(
                f"hydra.sweeper.max_batch_size={in_yaml(size)}: must be a whole number, at least "
                "1, or null"
            )
        # Ours compose all that they are given before the first job starts.
        if size < len(jobs) or not isinstance(self.launcher, TapeLoopLauncher):
            self.validate_batch_is_legal(jobs)
        batches, failure = [], None
        for first in range(0, len(jobs), size):
            try:
                batches.append(self.launcher.launch(jobs[first : first + size], first))
            except SweepEndedError as ended:
                if ended.exit_code == EXIT_CODE_INTERRUPTED:
                    raise
                failure = ended  # and the jobs of the other batches are run all the same
        if failure:
            raise failure
        for returned in itertools.chain(*batches):
            _ = returned.return_value  # raises what a job of a launcher in this process raised
        return batches

    def _search(self, words: list[str]) -> None:
        from trainer.sweep.search.command import search  # with Optuna

        if not isinstance(self.launcher, TapeLoopLauncher):
            name = self.config.hydra.runtime.choices["hydra/launcher"]
            raise ConfigError(
                f"hydra/launcher={name}: runs no searches; choose hydra/launcher=isolated"
            )
        search(self.launcher, self.hydra_context.config_loader, self.config, words)


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Return the words of each job of a grid.

    Args:
        overrides: of the sweep; of two with the same name the last one counts.

    Raises:
        ConfigError: if one is a range without steps, of which there is no every, or has no values.
    """
    choices: dict[str, list[str]] = {}
    for override in overrides:
        name = override.get_key_element()
        if not override.is_sweep_override():
            choices[name] = [str(override.input_line)]
        elif override.is_discrete_sweep():
            choices[name] = [f"{name}={value}" for value in override.sweep_string_iterator()]
        else:
            raise ConfigError(
                f"{override.input_line}: has no end of values; a search takes it, such as "
                "sweep=tpe, or name some: choice(...) or range(...)"
            )
        if not choices[name]:
            raise ConfigError(f"{override.input_line}: has no values")
    return [list(job) for job in itertools.product(*choices.values())]
