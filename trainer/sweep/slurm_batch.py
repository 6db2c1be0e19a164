"""Runs on a Slurm node, as the batch script: a job's process, and its exit code in a file.

Slurm tells how a job ended for a few minutes only, or to an accounting database that not every
cluster has; the file is there as long as it takes.
"""

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from trainer.disk import write_whole
from trainer.signals import EXIT_CODE_INTERRUPTED

ASK_TO_STOP = signal.SIGUSR1
"""Comes to this process alone, again and again until it has ended; the job is told once."""


class _Batch:
    """A job's process, told at most once to save its state: told twice, it would not."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.is_asked = False
        self._is_told = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Have the job save its state and end."""
        self.is_asked = True
        self.tell()

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take note of a SIGTERM, which Slurm sends to all processes, the job's among them."""
        self.is_asked = self._is_told = True

    def tell(self) -> None:
        """Send SIGTERM to the job if that is asked for and has not been done."""
        if self.is_asked and self.process and not self._is_told:
            self._is_told = True
            self.process.terminate()


def main(arguments: list[str]) -> int:
    """Run a command and write its exit code to a file; below 0: killed by that signal.

    Args:
        arguments: the file, then the words of the command.
    """
    exit_code_file, *command = arguments
    batch = _Batch()
    # First the handlers: the script has these signals ignored, and a process passes that on.
    signal.signal(ASK_TO_STOP, batch.ask)
    signal.signal(signal.SIGTERM, batch.note)
    if batch.is_asked:
        code = EXIT_CODE_INTERRUPTED
    else:
        batch.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        batch.tell()
        code = batch.process.wait()
    write_whole(Path(exit_code_file), f"{code}\n".encode())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
