"""A picture of a model's layers and what flows between them."""

import importlib.util
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from trainer.data.data import model_inputs
from trainer.describe.section import Section
from trainer.disk import blaming_disk

MOST_LAYERS = 150
"""A model of more layers is drawn without the layers within its layers."""


def missing_programs() -> str | None:
    """Return what to install for pictures of architectures, None where all is there."""
    if shutil.which("dot") is None:
        return "Graphviz is missing: apt-get install graphviz (or brew, conda), pip install pydot"
    if importlib.util.find_spec("pydot") is None:
        return "pydot is missing: pip install pydot"
    return None


def architecture(
    model: keras.Model, inputs: Mapping[str, tf.TensorSpec], folder: Path, name: str
) -> Section:
    """Draw a model as a PNG, by `keras.utils.plot_model`.

    That shows a subclassed model as a single box. So its `call` is followed with symbolic tensors,
    which makes a functional model of the same layers.

    Args:
        model: built.
        inputs: name to shape and dtype of one example.
        folder: where the picture goes; it exists.
        name: of the picture.

    Returns:
        The picture, or one line that says why there is none.
    """
    title = f"Architecture of {model.name}"
    if missing := missing_programs():
        return Section(title, lines=[f"No picture: {missing}."])
    try:
        drawn = _functional(model, inputs)
    except Exception as error:  # whatever a model's own code raises on symbolic tensors
        why = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:150]
        return Section(
            title,
            lines=[
                "No picture: this model's call does not take symbolic tensors "
                f"({type(error).__name__}: {why})."
            ],
        )
    num_layers = len(list(drawn._flatten_layers(include_self=False)))
    with blaming_disk(folder / name):
        keras.utils.plot_model(
            drawn,
            str(folder / name),
            show_shapes=True,
            show_layer_names=True,
            expand_nested=num_layers <= MOST_LAYERS,
            dpi=96,
        )
    return Section(title, lines=[f"{name}: its layers and the shapes between them."], picture=name)


def _functional(model: keras.Model, inputs: Mapping[str, tf.TensorSpec]) -> keras.Model:
    if isinstance(model, keras.Sequential) or model.__class__ is keras.Model:
        return model
    symbols = {
        name: keras.Input(spec.shape, dtype=spec.dtype.name, name=name)
        for name, spec in inputs.items()
    }
    outputs = model.call(model_inputs(symbols))
    return keras.Model(model_inputs(symbols), outputs, name=model.name)
