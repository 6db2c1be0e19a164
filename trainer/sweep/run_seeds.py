"""The process of jobs that differ in nothing but their seed; see `trainer.vectorize`.

`python -m trainer.sweep.run_seeds TASK`; TASK is JSON, as `SeedsJob.command` writes it.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainer.checkpoint import CheckpointError
from trainer.config import ConfigError
from trainer.console import ConsoleHandler, console
from trainer.data.dataset import UnreadableExamplesError
from trainer.disk import RunFolderError
from trainer.nonfinite import NonFiniteError
from trainer.run import run
from trainer.run_lock import remove_if_unused
from trainer.signals import StopRequest
from trainer.vectorize.group import SeedGroup
from trainer.vectorize.refusals import NotVectorizedError
from trainer.vectorize.stand_in import StandInError

_FAILED, _BAD_USAGE = 1, 2
_IN_ONE_LINE = (
    ConfigError, NotVectorizedError, CheckpointError, RunFolderError, NonFiniteError,
    UnreadableExamplesError, StandInError,
)  # fmt: skip


def main(task: Mapping[str, Any]) -> int:
    """Train; return the exit code: the greatest of the runs, where each ends as it would alone."""
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("[%(threadName)s] %(message)s"))
    logging.getLogger("trainer").addHandler(handler)
    codes: list[int] = []
    with StopRequest() as stop:
        group = SeedGroup(len(task["runs"]), stop)

        def train(index: int, one: Mapping[str, Any]) -> None:
            codes.append(group.run(index, lambda: _train(group, index, task["config"], one)))

        threads = [
            threading.Thread(target=train, args=item, name=f"seed={item[1]['seed']}")
            for item in enumerate(task["runs"])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return max(codes, default=_FAILED) if len(codes) == len(threads) else _FAILED


def _train(group: SeedGroup, index: int, config: Any, one: Mapping[str, Any]) -> int:
    cfg = OmegaConf.create({**config, "seed": one["seed"]})
    run_dir = Path(one["run_dir"])
    try:
        run(cfg, run_dir, one["command"], lambda trainer: group.join(index, trainer))
    except SystemExit as stop:
        return int(stop.code or 0)
    except Exception as error:
        if isinstance(error, _IN_ONE_LINE):
            console.print(f"[seed={one['seed']}] {error}", markup=False, soft_wrap=True)
        else:
            traceback.print_exc()
        remove_if_unused(run_dir)
        return (
            _BAD_USAGE
            if isinstance(error, ConfigError | NotVectorizedError | StandInError)
            else _FAILED
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
