"""A small run whose folder the tests damage, and what is tried on it then."""

import os

from test_run import train

from trainer.__main__ import entry

WORDS = [
    *("data.limit=64", "duration=4st", "checkpoint_every=2st", "keep=2"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]
NEWEST = "checkpoints/step_000000004.safetensors"
BEFORE = "checkpoints/step_000000002.safetensors"


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error, error
    return error


def resume(run_dir, capsys, code, words=WORDS):
    capsys.readouterr()
    assert train(run_dir, *words) == code
    return one_line(capsys) if code else ""


def evaluate(run_dir, capsys, code, *words):
    capsys.readouterr()
    assert entry(["evaluate", str(run_dir), *words]) == code
    return one_line(capsys) if code else capsys.readouterr().out


def best(run_dir):
    (path,) = (run_dir / "checkpoints").glob("best_*")
    return path
