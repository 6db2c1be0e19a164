"""A run on TensorBoard's HParams page: its settings, its state and what it came to."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.plugins.hparams import summary_v2
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.summary import session_end_pb

from trainer.event_files import EventFile

SUCCEEDED, FAILED = Status.STATUS_SUCCESS, Status.STATUS_FAILURE

_LEFT_OUT = (
    *("name", "resume", "log_every", "checkpoint_every", "keep", "keep_best", "keep_every"),
    *("profile", "callbacks", "data.root", "data.feed", "data.source", "monitor", "monitor_mode"),
)
"""Settings that say where a run keeps what, and not what it trains."""


class HParamsSession:
    """An event file in the run folder itself, written anew whenever the run is taken up.

    The page puts the curves in `train/` and `val/` beside it by itself, with their last values. The
    metrics of the best weights are added as `best/…`.

    Args:
        run_dir: the run folder.
        settings: name to value, as `settings_of` returns them.
    """

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self._events = EventFile(run_dir)
        # Its own name, and not a hash of the settings: equal settings are still several runs.
        here, path = Path.cwd(), run_dir.resolve()
        name = path.relative_to(here) if path.is_relative_to(here) else path
        start = summary_v2.hparams_pb(dict(settings), trial_id=str(name))
        self._events.summary(0, start)
        self._events.position()  # hands it to the operating system: the page shows it at once

    def end(self, status: int, best: Mapping[str, float], step: int) -> None:
        """Write how it ended: `SUCCEEDED` or `FAILED`, and the metrics of the best weights."""
        columns = {f"best/{name}": np.array([value]) for name, value in best.items()}
        if columns:
            self._events.scalars(np.array([step]), columns, time.time())
        self._events.summary(0, session_end_pb(status))

    def close(self) -> None:
        """Close the file."""
        self._events.close()


def settings_of(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Return the settings that make a run what it is, as the page takes them.

    A part that is built is named by its class or function, such as `model: MiniInception`, beside
    its arguments; lists and nulls become text.

    Args:
        config: the resolved configuration as plain values.
    """
    return dict(_flat(config, ""))


def _flat(node: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in _LEFT_OUT or key in ("_partial_", "_convert_"):
            continue
        if key == "_target_":
            found.append((prefix.removesuffix("."), str(value).rpartition(".")[2]))
        elif isinstance(value, Mapping):
            found += _flat(value, f"{name}.")
        elif isinstance(value, bool | int | float | str):
            found.append((name, value))
        else:
            found.append((name, str(value)))
    return found
