"""Where a search is kept: a journal file in its folder, or any database that Optuna takes."""

import fcntl
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from trainer.config import ConfigError
from trainer.sweep_folder import JOURNAL

_ATTEMPTS = 5
_SQLITE_SECONDS = 60  # that one process waits for the others to write


class JournalLock:
    """One writer of a journal at a time; the operating system frees it, however a process ends.

    Optuna's own locks are files: one left by a killed process stops the others for half a minute.

    Args:
        path: of the journal; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the journal, and take away a line that a crash of the machine left half."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            content = os.pread(self._file, size, 0)
            os.ftruncate(self._file, content.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let the others write."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def hush() -> None:
    """Keep Optuna's log and its notices of what is experimental from the terminal."""
    optuna.logging.disable_default_handler()
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", module=r"optuna\b")


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """Return a storage.

    Args:
        url: such as `postgresql+psycopg://user@host/name`; None: the journal in the folder.
        folder: of the sweep.

    Raises:
        ConfigError: if it cannot be reached, or a package for it is missing.
    """
    hush()
    if url is None:
        path = folder / JOURNAL
        lock = JournalLock(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            lock.release()
            return JournalStorage(JournalFileBackend(str(path), cast(Any, lock)))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error
        except Exception as error:  # Optuna asserts what stands in a journal
            raise ConfigError(
                f"{path}: cannot be read ({one_line(error)}); choose another sweep.name"
            ) from error
    return _database(url)


def _database(url: str) -> BaseStorage:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "sweep.storage: no URL of a database; it is such as sqlite:///search.db or "
            "postgresql+psycopg://user@host/name, or null for a file in the sweep's folder"
        ) from error
    shown = f"sweep.storage={parsed.render_as_string(hide_password=True)}"
    sqlite = parsed.get_backend_name() == "sqlite"
    arguments = (
        {"connect_args": {"timeout": _SQLITE_SECONDS}} if sqlite else {"pool_pre_ping": True}
    )
    for attempt in range(_ATTEMPTS):
        try:
            # Wrapped as Optuna wraps it: trials that have ended are read once.
            return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=arguments))
        except ImportError as error:
            driver = parsed.get_driver_name()
            extra = "; run: pip install -e '.[postgres]'" if driver == "psycopg" else ""
            raise ConfigError(f"{shown}: its driver {driver} is not installed{extra}") from error
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, OSError) as error:
            # Two processes may make the tables at the same time; then the other has made them.
            is_race = isinstance(error, IntegrityError) or "already exists" in str(error)
            if not is_race or attempt == _ATTEMPTS - 1:
                raise ConfigError(f"{shown}: cannot be reached ({one_line(error)})") from error
    raise ConfigError(f"{shown}: cannot be reached")


def open_study(storage: BaseStorage, name: str, objectives: Mapping[str, str]) -> int:
    """Return the number that the storage gives a study, which is made if it is not there.

    Args:
        storage: of `open_storage`.
        name: of the sweep.
        objectives: metric to `max` or `min`.

    Raises:
        ConfigError: if the study has other objectives.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["maximize" if mode == "max" else "minimize" for mode in objectives.values()],
        load_if_exists=True,
    )
    number = storage.get_study_id_from_name(name)
    pairs = [list(pair) for pair in objectives.items()]  # in JSON objects have no order
    there = study.user_attrs.get("objectives")
    if there is None:
        storage.set_study_user_attr(number, "objectives", pairs)
        study.set_metric_names(list(objectives))  # what optuna-dashboard shows
    elif there != pairs:
        was = ", ".join(f"{metric}: {mode}" for metric, mode in there)
        raise ConfigError(
            f"sweep.name={name}: this search was begun with the objectives {was}; "
            "choose another sweep.name"
        )
    return number


def one_line(error: BaseException) -> str:
    """Return what an error says, in its first line, without the advice of SQLAlchemy."""
    cause: BaseException = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0].strip() if lines else type(cause).__name__
