"""ONNX: for ONNX Runtime, and all that reads it."""

from pathlib import Path

import onnx
import tf2onnx

from trainer.export.serving import Serving

OPSET = 18
"""The newest that tf2onnx 1.17 writes."""

CARD = "card"


def write(serving: Serving, path: Path, card: str) -> None:
    """Write a float32 model, its inputs and outputs under their names, the card in its metadata.

    Args:
        serving: what is served.
        path: the file.
        card: JSON; `metadata_props` has it under `card`, and the class names under `class_names`,
            one a line.
    """
    model, _ = tf2onnx.convert.from_function(
        serving.serve, input_signature=serving.specs, opset=OPSET
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    class_names = "\n".join(serving.class_names)
    onnx.helper.set_model_props(model, {CARD: card, "class_names": class_names})
    onnx.save(model, path)
