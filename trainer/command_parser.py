"""What commands take from the command line: `argparse`, with errors in one line."""

import argparse
import re
from pathlib import Path
from typing import NoReturn

from trainer.config import ConfigError
from trainer.suggestions import nearest


class CommandParser(argparse.ArgumentParser):
    """Reads the words after `python -m trainer COMMAND`.

    Args:
        command: its name.
        about: what it does, for `--help`.
    """

    def __init__(self, command: str, about: str) -> None:
        super().__init__(prog=f"python -m trainer {command}", description=about, allow_abbrev=False)
        self._command = command

    def error(self, message: str) -> NoReturn:
        """Refuse the words.

        Raises:
            ConfigError: in one line, with the nearest option or how the command is used.
        """
        unknown = re.fullmatch(r"unrecognized arguments: (.*)", message)
        options = [option for option in self._option_string_actions if option.startswith("--")]
        if unknown and (first := unknown[1].split()[0]).startswith("-"):
            raise ConfigError(f"{self._command}: no option {first}; {nearest(first, options)}")
        usage = " ".join(self.format_usage().split())
        raise ConfigError(f"{self._command}: {message}; {usage}")


def run_folder(text: str) -> Path:
    """Return the folder that a word names, as `type` of an argument.

    Raises:
        argparse.ArgumentTypeError: if there is none.
    """
    path = Path(text)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # such as a name too long
        raise argparse.ArgumentTypeError(f"{text}: cannot be read ({error.strerror})") from error
    if not is_folder:
        raise argparse.ArgumentTypeError(f"{text}: no such folder; give the folder of a run")
    return path
