"""What somebody needs to know of an exported file, as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from trainer import config
from trainer.build import model_settings
from trainer.export.chosen import PRECISION, Chosen
from trainer.export.formats import FORMATS
from trainer.export.serving import IMAGE, Serving
from trainer.manifest import versions_of

PACKAGES = ("tapeloop", "tensorflow", "tensorflow-cpu", "keras", "numpy", "tf2onnx", "onnx")
PREDICTIONS = {
    "softmax": "probabilities of the classes, their sum 1",
    "sigmoid": "probabilities, each by itself",
    "linear": "values",
}
LOGITS = {
    "softmax": "logits; their softmax are probabilities",
    "sigmoid": "logits; their sigmoid are probabilities",
    "linear": "values",
}
FROM_MANIFEST = ("command", "started", "precision", "packages")


def card(run_dir: Path, chosen: Chosen, serving: Serving, name: str) -> str:
    """Return the card of a run's model in a format.

    Args:
        run_dir: the run.
        chosen: its weights.
        serving: the model as it is served.
        name: of the format.
    """
    trained = chosen.trained
    cfg = config.load(run_dir)
    # `load_trained` has read it too.
    manifest = json.loads((run_dir / "manifest.json").read_text())
    is_serving = FORMATS[name].is_serving
    specs = {spec.name: spec for spec in serving.specs} if is_serving else dict(trained.inputs)
    facts = {
        "name": cfg.name,
        "format": name,
        "class_names": list(trained.class_names),
        "inputs": [
            {
                "name": key,
                "shape": [None, *trained.inputs[key].shape],
                "dtype": spec.dtype.name,
                "content": _content(key, is_serving, trained.transform.standardisation),
            }
            for key, spec in specs.items()
        ],
        "outputs": [
            {
                "name": output.name,
                "shape": [None, *output.shape],
                "dtype": PRECISION,
                "content": (PREDICTIONS if is_serving else LOGITS)[output.activation],
                "class_names": list(output.class_names),
            }
            for output in (serving.outputs if is_serving else serving.model_outputs)
        ],
        "standardisation": trained.transform.standardisation,
        "model": model_settings(cfg, trained.class_names),
        "code": code_of(trained.model),
        "weights": {
            "kind": chosen.kind,
            "step": trained.step,
            "moving_average": chosen.is_average,
            "fingerprint": trained.fingerprint,
            "scored": dict(chosen.values),
        },
        "precision": PRECISION,
        "run": {key: manifest[key] for key in FROM_MANIFEST if key in manifest},
        "packages": versions_of(PACKAGES),
    }
    return json.dumps(facts, indent=2) + "\n"


def code_of(model: keras.Model) -> list[str]:
    """Return the modules to import before Keras can load a model: those of classes not its own."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            found.update(v for k, v in value.items() if k == "module" and isinstance(v, str))
            value = list(value.values())
        if isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    walk(keras.saving.serialize_keras_object(model))
    return sorted(name for name in found if name.split(".")[0] not in ("keras", "builtins"))


def _content(name: str, is_serving: bool, standardisation: Mapping[str, Any]) -> str:
    if name != IMAGE:
        return "as in the data"
    if is_serving:
        return "pixels from 0 to 255, of this size; scaled and standardised inside"
    scaled = "pixels / 255"
    return f"({scaled} - mean) / std, by channel" if standardisation else scaled
