"""TFLite (LiteRT): for phones and small machines."""

import io
import zipfile
from pathlib import Path

import tensorflow as tf

from trainer.export.serving import Serving

CARD, LABELS = "card.json", "labels.txt"


def write(serving: Serving, path: Path, card: str) -> None:
    """Write a float32 model with a signature of the names, the card and the class names in it.

    Files in a TFLite model are a zip behind it, as TensorFlow Lite's metadata library has them:
    `unzip model.tflite` gets them out. `labels.txt` has one class a line.

    Args:
        serving: what is served.
        path: the file.
        card: JSON.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serving.concrete], serving)
    model = io.BytesIO(converter.convert())
    with zipfile.ZipFile(model, "a") as attached:
        attached.writestr(CARD, card)
        if serving.class_names:
            attached.writestr(LABELS, "".join(f"{name}\n" for name in serving.class_names))
    path.write_bytes(model.getvalue())
