"""The formats there are; TensorFlow is not needed to know them."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainer.config import ConfigError

FOLDER = "export"
"""Where files are put in a run folder, unless told otherwise."""


@dataclass(frozen=True)
class Format:
    """What is to be known of a format before anything is loaded.

    Args:
        suffix: how its file names end; empty for a folder.
        is_serving: whether preprocessing and predictions are inside, so that nobody needs the
            project's code to use it.
        written_with: modules that are needed beside TensorFlow.
        read_with: modules that `--check` needs beside them.
    """

    suffix: str
    is_serving: bool
    written_with: tuple[str, ...] = ()
    read_with: tuple[str, ...] = ()

    def default_output(self, run_dir: Path) -> Path:
        """Return where a run's file of this format is put."""
        return run_dir / FOLDER / (f"model{self.suffix}" if self.suffix else "savedmodel")


FORMATS = {
    "keras": Format(".keras", is_serving=False),
    "weights": Format(".weights.h5", is_serving=False),
    "savedmodel": Format("", is_serving=True),
    "tflite": Format(".tflite", is_serving=True, read_with=("ai_edge_litert",)),
    "onnx": Format(
        ".onnx", is_serving=True, written_with=("onnx", "tf2onnx"), read_with=("onnxruntime",)
    ),
}


def check_installed(modules: Iterable[str]) -> None:
    """Check that modules of the extra `export` are there; import none.

    Raises:
        ConfigError: naming those that are not, and how to get them.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"export: {', '.join(missing)} is not installed; run: pip install 'tapeloop[export]' "
            "(in a checkout: pip install -e '.[export]')"
        )


def check_output(output: Path, name: str, overwrite: bool) -> None:
    """Check that a file of a format can take this name.

    Raises:
        ConfigError: if it ends otherwise than the format's do, or is there already.
    """
    suffix = FORMATS[name].suffix
    if output.exists() and output.is_dir() == bool(suffix):
        kind = "a folder" if suffix else "a file"
        raise ConfigError(f"--output {output}: is {kind} already; give another name")
    if not output.name.endswith(suffix) or output.name == suffix:
        raise ConfigError(f"--output {output}: must end in {suffix}, as files of {name} do")
    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: is there already; give --overwrite, or another --output")
