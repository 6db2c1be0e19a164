"""Hydra's launchers of `-m` for where one machine is not enough: `slurm` and `ray`."""

import importlib.util
import math
from collections.abc import Mapping
from typing import Any

from trainer.config import ConfigError
from trainer.sweep.executor import Executor
from trainer.sweep.launcher import TapeLoopLauncher
from trainer.sweep.ray_executor import RayExecutor
from trainer.sweep.slurm_executor import SlurmExecutor
from trainer.sweep.slurm_queue import missing_commands
from trainer.targets import in_yaml


class SlurmLauncher(TapeLoopLauncher):
    """Batch jobs in Slurm's queue; `workers` of them in it at once.

    Args:
        partition: whose nodes run them; None: the cluster's default.
        timeout_min: minutes a job may take, at least 3: in the last two it is asked to save its
            state; None: as the partition says.
        cpus_per_task: CPUs of a job, at least 1; None: as the cluster says.
        gpus_per_node: GPUs of a job, at least 0; None: none is asked for.
        mem_gb: memory of a job in GB, at least 1; None: as the cluster says.
        additional_parameters: more options of `sbatch` by their long name; a switch is `true`.
    """

    def __init__(
        self,
        partition: str | None,
        timeout_min: int | None,
        cpus_per_task: int | None,
        gpus_per_node: int | None,
        mem_gb: int | None,
        additional_parameters: Mapping[str, Any],
    ) -> None:
        self._partition = partition
        self._numbers = {
            "timeout_min": (timeout_min, 3),
            "cpus_per_task": (cpus_per_task, 1),
            "gpus_per_node": (gpus_per_node, 0),
            "mem_gb": (mem_gb, 1),
        }
        self._additional_parameters = additional_parameters

    def setup(self, **hydra: Any) -> None:
        """Take what Hydra gives, and check the settings.

        Raises:
            ConfigError: for one that is out of range; if Slurm's commands are not installed.
        """
        super().setup(**hydra)
        self._options = self._checked_options()
        missing = missing_commands()
        if missing:
            raise ConfigError(
                f"hydra/launcher=slurm: {', '.join(missing)} not found; start this on a machine "
                "that has Slurm's commands, such as the login node of the cluster"
            )

    def executor(self, num_workers: int) -> Executor:
        """Return what submits the jobs."""
        return SlurmExecutor(num_workers, self._options)

    def _checked_options(self) -> list[str]:
        for name, (value, least) in self._numbers.items():
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (is_whole and value >= least):
                raise ConfigError(
                    f"hydra.launcher.{name}={in_yaml(value)}: must be a whole number, at least "
                    f"{least}, or null"
                )
        if not isinstance(self._additional_parameters, Mapping):
            raise ConfigError(
                f"hydra.launcher.additional_parameters={in_yaml(self._additional_parameters)}: "
                "must be options of sbatch by their names, such as {account: vision}"
            )
        number = {name: value for name, (value, _) in self._numbers.items()}
        memory = number["mem_gb"]
        options = {
            "partition": self._partition,
            "time": number["timeout_min"],
            "cpus-per-task": number["cpus_per_task"],
            "gpus-per-node": number["gpus_per_node"],
            "mem": None if memory is None else f"{memory}G",
            **self._additional_parameters,
        }
        return [
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in options.items()
            if value is not None and value is not False
        ]


class RayLauncher(TapeLoopLauncher):
    """Jobs on a Ray cluster; `workers` of them given to it at once.

    Args:
        address: of the cluster: `auto`, `HOST:PORT` or `ray://HOST:PORT`; None: start one on this
            machine for the time of the sweep.
        num_cpus: CPUs that a job reserves, above 0.
        num_gpus: GPUs that a job reserves and alone sees, at least 0.
    """

    def __init__(self, address: str | None, num_cpus: float, num_gpus: float) -> None:
        self._address = address
        self._num_cpus, self._num_gpus = num_cpus, num_gpus

    def setup(self, **hydra: Any) -> None:
        """Take what Hydra gives, and check the settings.

        Raises:
            ConfigError: for one that is out of range; if Ray is not installed.
        """
        super().setup(**hydra)
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "hydra/launcher=ray: Ray is not installed; run: pip install 'tapeloop[ray]' "
                "(in a checkout: pip install -e '.[ray]')"
            )
        if not isinstance(self._address, str | None):
            raise ConfigError(
                f"hydra.launcher.address={in_yaml(self._address)}: must be auto, HOST:PORT or null"
            )
        if not (_is_amount(self._num_cpus) and self._num_cpus > 0):
            raise ConfigError(
                f"hydra.launcher.num_cpus={in_yaml(self._num_cpus)}: must be a number above 0"
            )
        if not _is_amount(self._num_gpus):
            raise ConfigError(
                f"hydra.launcher.num_gpus={in_yaml(self._num_gpus)}: must be a number, at least 0"
            )

    def executor(self, num_workers: int) -> Executor:
        """Return what gives the jobs to Ray."""
        return RayExecutor(num_workers, self._address, self._num_cpus, self._num_gpus)


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf
