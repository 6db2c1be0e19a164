"""What a model makes of the examples of a split, for TensorBoard's embedding projector.

An embedding is what the last dense layer is given. `RUN_DIR/report/projector/SPLIT/` becomes a run
of TensorBoard's by an event file of its own; the projector finds its configuration in there.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format  # type: ignore[import-untyped]
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from trainer import config
from trainer.answers import YES, Answer, answers_of, predictions_of
from trainer.build import build
from trainer.config import ConfigError
from trainer.data.data import labels_of, model_inputs
from trainer.data.dataset import Arrays, UnreadableExamplesError, num_examples
from trainer.disk import write_whole
from trainer.event_files import EventFile
from trainer.report.folder import report_folder
from trainer.report.layer_calls import watching
from trainer.trained_model import TrainedModel, load_trained

_LARGEST_SPRITE = 8192  # pixels a side, the most that browsers draw
_LARGEST_THUMBNAIL = 64

Named = dict[str | None, np.ndarray]


class Written(NamedTuple):
    """What was written.

    Attributes:
        folder: of the projector's files.
        layer: whose inputs the embeddings are.
        num_examples: embeddings.
        size: numbers in each.
        notes: lines that must not be left unsaid.
    """

    folder: Path
    layer: str
    num_examples: int
    size: int
    notes: list[str]


def write_embeddings(
    run_dir: Path, split: str, limit: int, weights: str = "best", overrides: Sequence[str] = ()
) -> Written:
    """Write embeddings of a split with their labels, predictions and pictures.

    Args:
        run_dir: a run folder.
        split: of the run's data.
        limit: the most examples; of more, as many as that, spread evenly over the split.
        weights: `best` or `last`.
        overrides: `key=value` words for what is different here, such as `data.root`.

    Raises:
        ConfigError: if there is no such split, examples cannot be read, or the model has no dense
            layer.
        RunFolderError: if a file cannot be written.
    """
    cfg = config.load(run_dir, overrides)
    splits = build(cfg, run_dir=None).splits
    if split not in splits:
        raise ConfigError(f"--embeddings {split}: this data has {', '.join(splits)}")
    trained = load_trained(run_dir, weights)
    count = num_examples(splits[split])
    rows = np.linspace(0, count - 1, min(limit, count)).round().astype(np.int64)
    arrays = {key: array[rows] for key, array in splits[split].items() if key != "weight"}
    layer, vectors, labels, predictions, answers = _run(trained, arrays, cfg.data.batch_size)

    folder = report_folder(run_dir, f"projector/{split}")
    lines = [b"\t".join(b"%.6g" % x for x in vector) for vector in vectors]
    write_whole(folder / "tensors.tsv", b"\n".join(lines) + b"\n")
    metadata = _metadata(rows, labels, predictions, answers)
    write_whole(folder / "metadata.tsv", metadata.encode(errors="replace"))
    projector = ProjectorConfig()
    embedding = projector.embeddings.add()
    embedding.tensor_name = f"{split}: inputs of {layer}"
    embedding.tensor_path, embedding.metadata_path = "tensors.tsv", "metadata.tsv"
    notes = []
    if count > limit:
        notes.append(f"{len(rows):,} of {count:,} examples, spread over the split (--limit)")
    if "image" in arrays and arrays["image"].shape[-1] in (1, 3):
        sprite, size = _sprite(arrays["image"])
        write_whole(folder / "sprite.png", sprite)
        embedding.sprite.image_path = "sprite.png"
        embedding.sprite.single_image_dim.extend([size[1], size[0]])
    else:
        notes.append("no pictures beside the points: the data has no images of 1 or 3 channels")
    content = text_format.MessageToString(projector)
    write_whole(folder / "projector_config.pbtxt", content.encode())
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    events = EventFile(folder)
    events.text("embeddings", trained.step, f"What `{layer}` is given: see the page PROJECTOR.")
    events.close()
    return Written(folder, layer, len(rows), vectors.shape[1], notes)


def _run(
    trained: TrainedModel, arrays: Arrays, batch_size: int
) -> tuple[str, np.ndarray, Named, Named, dict[str | None, Answer]]:
    """Return the layer, embeddings [N, D], labels, predictions and how these are read."""
    found: dict[str, Any] = {}

    @tf.function(autograph=False, reduce_retracing=True)
    def run(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Any, dict[str, tf.Tensor]]:
        seen = _DenseInputs()
        batch = trained.transform.evaluation(dict(batch))
        with watching(trained.model, seen.note):
            outputs = trained.model(model_inputs(batch), training=False)
        if not seen.name:
            raise ConfigError(
                f"{trained.model.name}: has no dense layer, whose inputs would be the embeddings"
            )
        found.update(layer=seen.name, answers=answers_of(trained, outputs))
        labels = labels_of(batch)
        labels = labels if isinstance(labels, Mapping) else {"": labels}
        predictions = {n or "": p for n, p in predictions_of(trained, outputs).items()}
        return tf.cast(seen.inputs, tf.float32), labels, predictions

    parts = []
    for start in range(0, num_examples(arrays), batch_size):
        chosen = {key: array[start : start + batch_size] for key, array in arrays.items()}
        try:
            batch = {key: tf.constant(np.asarray(array)) for key, array in chosen.items()}
        except UnreadableExamplesError as error:
            raise ConfigError(str(error)) from error
        parts.append(tf.nest.map_structure(lambda tensor: tensor.numpy(), run(batch)))
    vectors, labels, predictions = tf.nest.map_structure(lambda *p: np.concatenate(p), *parts)
    vectors = vectors.reshape(len(vectors), -1)
    named = [{name or None: a for name, a in arrays.items()} for arrays in (labels, predictions)]
    return found["layer"], vectors, named[0], named[1], found["answers"]


class _DenseInputs:
    """Takes note of what the last dense layer is given: one with a kernel [D, K] of its own."""

    def __init__(self) -> None:
        self.name, self.inputs = "", None

    def note(self, name: str, layer: keras.layers.Layer, inputs: Any, outputs: Any) -> Any:
        """Look at a layer's call; an outer layer ends after its inner ones, and is none itself."""
        if tf.is_tensor(inputs) and tf.is_tensor(outputs) and not self.name.startswith(f"{name}/"):
            is_flat = len(inputs.shape) == len(outputs.shape) == 2
            kernel = (inputs.shape[-1], outputs.shape[-1])
            if is_flat and any(tuple(w.shape) == kernel for w in layer.weights):
                self.name, self.inputs = name, inputs
        return outputs


def _metadata(
    rows: np.ndarray, labels: Named, predictions: Named, answers: Mapping[str | None, Answer]
) -> str:
    """Return a line for each point: label, prediction, whether it is right, and its place."""
    columns: dict[str, list[str]] = {}
    for name, answer in answers.items():
        prefix = f"{name}/" if name else ""
        if name not in labels:  # an output that nothing is compared with
            continue
        of_output = _columns(answer, labels[name], predictions[name])
        columns |= {f"{prefix}{heading}": values for heading, values in of_output.items()}
    columns["place in split"] = [str(row) for row in rows]
    lines = ["\t".join(columns)] + ["\t".join(row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _columns(answer: Answer, label: np.ndarray, prediction: np.ndarray) -> dict[str, list[str]]:
    names = np.array([" ".join(name.split()) for name in answer.names], object)
    if answer.kind == "classes":
        true = label if label.ndim == 1 else label.argmax(axis=1)
        true, best = true.astype(np.int64), prediction.argmax(axis=1)
        return {
            "label": list(names[true]),
            "prediction": list(names[best]),
            "right": _yes(true == best),
            "probability": [f"{p:.4f}" for p in prediction.max(axis=1)],
        }
    label = label.reshape(len(label), -1)
    if answer.kind == "labels":
        true, found = label > YES, prediction > YES
        return {
            "label": [_listed(names[row]) for row in true],
            "prediction": [_listed(names[row]) for row in found],
            "right": _yes((true == found).all(axis=1)),
        }
    return {
        kind if len(names) == 1 else f"{kind} {name}": [f"{value:.6g}" for value in column]
        for kind, array in (("label", label), ("prediction", prediction))
        for name, column in zip(names, array.T, strict=True)
    }


def _listed(names: np.ndarray) -> str:
    return ", ".join(names) or "none"


def _yes(holds: np.ndarray) -> list[str]:
    return ["yes" if one else "no" for one in holds]


def _sprite(images: Any) -> tuple[bytes, tuple[int, int]]:
    """Return the pictures row by row as one square PNG, and (height, width) of each in it."""
    count = len(images)
    num_columns = math.ceil(math.sqrt(count))
    side = min(_LARGEST_THUMBNAIL, _LARGEST_SPRITE // num_columns)
    scale = min(1.0, side / max(images.shape[1:3]))
    height, width = (max(1, round(n * scale)) for n in images.shape[1:3])
    sheet = np.full((num_columns, height, num_columns, width, images.shape[-1]), 255, np.uint8)
    at_once = 256
    for start in range(0, count, at_once):
        pixels = np.asarray(images[start : start + at_once])
        if scale < 1:
            small = tf.image.resize(pixels, (height, width), antialias=True)
            pixels = tf.saturate_cast(tf.round(small), tf.uint8).numpy()
        for place, one in enumerate(pixels, start):
            sheet[place // num_columns, :, place % num_columns] = one
    sheet = sheet.reshape(num_columns * height, num_columns * width, -1)
    return tf.io.encode_png(sheet).numpy(), (height, width)
