"""Load an exported file where nothing else is, and write down what it says; a script.

    python -I fresh_process.py savedmodel|tflite|onnx FILE INPUTS OUTPUTS
    python -P fresh_process.py keras|weights FILE INPUTS OUTPUTS RUN_DIR [MODULE ...]

The serving formats are read without a line of the project: its packages are barred. A `.keras` file
and weights need its classes, which
lie in the MODULEs. INPUTS are the arrays by name, `.npz`; OUTPUTS, to be written, has
`all/NAME` for the whole batch, `one/NAME` for its first example alone, `reader` (library and
version), and the `card` in the file or, where there is none, the `weights`, a SHA-256 each.
"""

import hashlib
import importlib
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

OWN = ("trainer", "models", "experiments")

Arrays = dict[str, np.ndarray]
Answer = Callable[[Arrays], Arrays]


def main(name: str, path: str, inputs: str, outputs: str, run_dir: str = "", *modules: str) -> None:
    """Load the file, ask it twice, write down the answers."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with np.load(inputs) as file:
        batch = dict(file)
    if name in ("keras", "weights"):
        from trainer.quiet import import_tensorflow

        import_tensorflow()
        for module in modules:
            importlib.import_module(module)
        answer, facts = _with_code(name, path, run_dir)
    else:
        # An editable installation is found even in isolated mode.
        sys.modules.update(dict.fromkeys(OWN))  # type: ignore[arg-type]
        readers = {"savedmodel": _savedmodel, "tflite": _tflite, "onnx": _onnx}
        answer, facts = readers[name](path)
    first = {key: array[:1] for key, array in batch.items()}
    found = {f"all/{key}": array for key, array in answer(batch).items()}
    found |= {f"one/{key}": array for key, array in answer(first).items()}
    np.savez(outputs, **found, **facts)  # type: ignore[arg-type]


def _savedmodel(path: str) -> tuple[Answer, Arrays]:
    import tensorflow as tf

    # The signature does not keep the variables alive.
    loaded = tf.saved_model.load(path)

    def answer(batch: Arrays) -> Arrays:
        tensors = {key: tf.constant(array) for key, array in batch.items()}
        found = loaded.signatures["serving_default"](**tensors)
        return {key: tensor.numpy() for key, tensor in found.items()}

    card = (Path(path) / "assets.extra" / "card.json").read_text()
    return answer, {"reader": np.array(f"TensorFlow {tf.__version__}"), "card": np.array(card)}


def _tflite(path: str) -> tuple[Answer, Arrays]:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner("serving_default")
    with zipfile.ZipFile(path) as attached:
        card = attached.read("card.json").decode()
    reader = f"LiteRT {version('ai-edge-litert')}"
    return lambda batch: runner(**batch), {"reader": np.array(reader), "card": np.array(card)}


def _onnx(path: str) -> tuple[Answer, Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    card = session.get_modelmeta().custom_metadata_map["card"]
    reader = f"ONNX Runtime {onnxruntime.__version__}"

    def answer(batch: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, batch), strict=True))

    return answer, {"reader": np.array(reader), "card": np.array(card)}


def _with_code(name: str, path: str, run_dir: str) -> tuple[Answer, Arrays]:
    import keras

    if name == "keras":
        model = keras.saving.load_model(path)
    else:
        model = _with_other_weights(run_dir)
        model.load_weights(path)

    def answer(batch: Arrays) -> Arrays:
        inputs: Any = batch if len(batch) > 1 else next(iter(batch.values()))
        found = model(inputs, training=False)
        named = found if isinstance(found, Mapping) else {"outputs": found}
        return {key: keras.ops.convert_to_numpy(tensor) for key, tensor in named.items()}

    digests = [digest(variable.numpy()) for variable in model.weights]
    return answer, {"reader": np.array(f"Keras {keras.__version__}"), "weights": np.array(digests)}


def _with_other_weights(run_dir: str) -> Any:
    """Return the run's model, built by its configuration, with NaN for every weight."""
    from trainer.trained_model import load_trained

    model = load_trained(Path(run_dir), "last", "float32").model
    for variable in model.weights:
        nothing = np.nan if variable.dtype.startswith(("float", "bfloat")) else 0
        variable.assign(np.full(variable.shape, nothing))
    return model


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's shape, dtype and values, in hexadecimal."""
    content = f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
