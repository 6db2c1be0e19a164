"""The command line: `python -m trainer key=value ...` trains, a bare first word is a command.

Nothing here imports TensorFlow, so that `--help`, a typo and shell completion are answered at once.
Reading order: `entry`, `_train`, `_job`.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainer import help as help_page
from trainer.printable import printable
from trainer.quiet import MissingTensorFlowError
from trainer.suggestions import nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = Path(__file__).resolve().parent.parent / "conf"
FAILED, BAD_USAGE = 1, 2
LONGEST = 2000  # of a message, in characters
FULL_ERROR = "HYDRA_FULL_ERROR"


def entry(argv: list[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: the words after the program's name; None for those of this process.

    Returns:
        0 done, 1 failed, 2 wrong usage or configuration, 75 stopped and resumable.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        if words and not words[0].startswith(("-", "+", "~")) and "=" not in words[0]:
            return _command(words[0], words[1:])
        if "-h" in words or "--help" in words:
            print(help_page.page(), end="")
            return 0
        return _train(words)
    except MissingTensorFlowError as error:
        return _report(str(error), FAILED)
    except KeyboardInterrupt:
        return _report("interrupted", FAILED)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        return _report(stop.code, FAILED)


def _command(name: str, arguments: list[str]) -> int:
    """Run `trainer/commands/<name>.py`."""
    names = help_page.command_names()
    if name not in names:
        line = f"{name}: neither a command nor KEY=VALUE; {nearest(name, names)}"
        return _report(line, BAD_USAGE)
    from trainer.checkpoint import CheckpointError
    from trainer.config import ConfigError
    from trainer.disk import RunFolderError

    try:
        return importlib.import_module(f"trainer.commands.{name}").main(arguments)
    except ConfigError as error:
        return _report(str(error), BAD_USAGE)
    except (CheckpointError, RunFolderError) as error:
        return _report(str(error), FAILED)


def _train(words: list[str]) -> int:
    """Have Hydra compose the configuration and train with it, or several times for a sweep."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    from trainer.compose import in_one_line, with_new_argument, without_hooks
    from trainer.hydra_hooks import refused_word
    from trainer.sweep import plugins
    from trainer.sweep.finish import SweepEndedError

    refusal = refused_word(words)
    if refusal:
        return _report(refusal, BAD_USAGE)
    wants_traceback = os.environ.get(FULL_ERROR) == "1"

    @hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
    def main(cfg: "DictConfig") -> float | None:
        return _job(cfg, wants_traceback)

    try:
        plugins.register()
        with _as_command_line(words), without_hooks():
            main()
    except SweepEndedError as ended:
        return ended.exit_code
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        if wants_traceback:
            raise
        retry = with_new_argument(words, error)
        if retry != words:
            return _train(retry)
        line = in_one_line(error, words)
        is_usage = isinstance(error, HydraException) or not isinstance(error, OSError)
        return _report(line, BAD_USAGE if is_usage else FAILED)
    return 0


def _job(cfg: "DictConfig", wants_traceback: bool) -> float | None:
    """Train once; return the best value of the monitored metric, which sweepers look at.

    All errors end here, reported: what `_train` catches was raised before a run began.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from trainer.checkpoint import CheckpointError
    from trainer.config import ConfigError, check
    from trainer.data.dataset import UnreadableExamplesError
    from trainer.disk import RunFolderError
    from trainer.nonfinite import NonFiniteError
    from trainer.run_lock import remove_if_unused
    from trainer.sweep.finish import SweepEndedError

    job = HydraConfig.get()
    run_dir, is_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    try:
        config = check(cfg)
        from trainer.run import run

        return run(config, run_dir)
    except Exception as error:
        is_usage = isinstance(error, ConfigError)
        is_one_line = isinstance(
            error,
            ConfigError
            | MissingTensorFlowError
            | UnreadableExamplesError
            | CheckpointError
            | RunFolderError
            | NonFiniteError,
        )
        if wants_traceback or not is_one_line:
            traceback.print_exc()
        else:
            _report(f"[{job.job.override_dirname}] {error}" if is_sweep else str(error), FAILED)
        remove_if_unused(run_dir)
    exit_code = BAD_USAGE if is_usage else FAILED
    # After an exception Hydra goes on with a sweep; a single job's it would only print again.
    raise SweepEndedError(exit_code) if is_sweep else SystemExit(exit_code)


@contextmanager
def _as_command_line(words: list[str]) -> Iterator[None]:
    """Give Hydra the words, and have it raise its errors where it would print and exit."""
    argv, sys.argv = sys.argv, ["trainer", *words]
    full_error = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop(FULL_ERROR)
        if full_error is not None:
            os.environ[FULL_ERROR] = full_error


def _report(line: str, exit_code: int) -> int:
    # What a message quotes may come from somebody else's file: no control characters, no pages.
    shown = printable(line)
    print(shown if len(line) <= LONGEST else f"{shown[:LONGEST]} ...", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(entry())
