"""From a run to a file, whole or absent."""

import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.disk import RunFolderError
from trainer.export.card import card
from trainer.export.chosen import Chosen
from trainer.export.serving import Serving

LONGEST = 300  # characters of a converter's reason


class ExportError(RuntimeError):
    """A model cannot be exported, or is another one when loaded; the message is one line."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: where it is.
        name: of its format.
        card: JSON.
        serving: the model as it is served.
    """

    path: Path
    name: str
    card: str
    serving: Serving


def card_beside(path: Path) -> Path:
    """Return where the card of a file is; that of a SavedModel is in its folder."""
    return path.with_name(f"{path.name}.json")


def export(
    run_dir: Path,
    chosen: Chosen,
    name: str,
    output: Path,
    check: Callable[[Exported], object] | None = None,
) -> Exported:
    """Write a run's model in a format, with its card beside.

    It is written in a folder beside, and takes its name when it is whole and has passed the check;
    until then what had the name keeps it.

    Args:
        run_dir: the run.
        chosen: its model, with the weights.
        name: of the format.
        output: the file, or the folder of a SavedModel; replaced if it is there.
        check: looks at what was written before it takes its name, and raises.

    Raises:
        ExportError: if the format cannot hold this model, or what `check` raises.
        RunFolderError: if it cannot be written.
    """
    with (
        _folder_of(output),
        tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder,
    ):
        staged = Path(folder) / output.name
        serving = Serving(chosen.trained)
        text = card(run_dir, chosen, serving, name)
        with _converting(name):
            importlib.import_module(f"trainer.export.to_{name}").write(serving, staged, text)
        if check:
            check(Exported(staged, name, text, serving))
        if staged.is_file():
            staged.replace(output)
            card_beside(staged).write_text(text)
            card_beside(staged).replace(card_beside(output))
        else:
            if output.exists():
                output.replace(Path(folder) / "before")  # a folder cannot be replaced at once
            staged.replace(output)
    return Exported(output, name, text, serving)


@contextmanager
def _converting(name: str) -> Iterator[None]:
    """Keep converters from talking, and turn what they raise into one line."""
    with _silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            # What a converter raises is of many kinds, and may be the whole graph as text.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if "error:" in line), lines[0] if lines else "")
            raise ExportError(
                f"{name} cannot hold this model: {type(error).__name__}: {reason[:LONGEST]}; "
                "choose another format"
            ) from error
        finally:
            logging.disable(logging.NOTSET)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    # Converters write to the file descriptor from C++.
    sys.stderr.flush()
    terminal = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def _folder_of(output: Path) -> Iterator[None]:
    """Make the folder that a file is put in; if it is new, leave it only with something in it."""
    is_new = not output.parent.exists()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RunFolderError(
            f"{output}: cannot be written ({error.strerror or error}); make room or give access, "
            "or choose another --output"
        ) from error
    finally:
        if is_new:
            with suppress(OSError):
                output.parent.rmdir()
