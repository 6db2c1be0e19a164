"""The import of TensorFlow, without the lines it writes to the terminal."""

import importlib.util
import os
import sys
import tempfile


class MissingTensorFlowError(ImportError):
    """TensorFlow is not installed; the message says how to install it."""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras; what they write to stderr is shown only if that fails.

    The oneDNN and CPU notices come from C++ before TensorFlow's own log level holds, so the file
    descriptor itself is turned away during the import. `TF_CPP_MIN_LOG_LEVEL`, 2 (errors) unless
    set already, holds for the rest of the process.

    Raises:
        MissingTensorFlowError: if TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingTensorFlowError(
            "TensorFlow is not installed; run: pip install -e '.[cpu]' (or '.[gpu]')"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # wins over a keras.json that says otherwise
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
        except BaseException:
            written.seek(0)
            os.write(terminal, written.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
