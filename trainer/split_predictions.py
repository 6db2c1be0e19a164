"""What a model says of every example of a split, in the split's order: for reports and comparisons.

`evaluate` keeps them in a run's `report/`, so that two runs can be compared example by example.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.disk import write_whole

if TYPE_CHECKING:
    from trainer.trainer import Trainer

Named = Mapping[str | None, np.ndarray]
"""Arrays [N, ...] by the name of the output; the name of a single output is None."""
_OF_OUTPUTS = ("labels", "predictions", "activation")
_OF_ALL = ("losses", "weight", "step", "weights", "data")
_MOST_BYTES = 2 << 30
"""Unpacked: 500,000 examples of 1,000 classes. A file of a megabyte may unpack to a thousand."""


@dataclass(frozen=True)
class SplitPredictions:
    """Labels and predictions of the N examples of a split.

    Args:
        labels: as the data has them: int32 [N] class numbers, float32 [N, K] yes and no, or values.
        predictions: float32 [N, K]: probabilities, or the values to regress.
        losses: float32 [N], with the model's own (regularizers) in each: their mean, by `weight`,
            is the `loss` that `evaluate` gives.
        weight: float32 [N], of each example.
        step: of the weights, updates done.
        weights: which they are, `best` or `last`.
        activations: `softmax`, `sigmoid` or `linear` by output: what made the predictions, and so
            what they are; a name is left out where that is not known.
        data: fingerprint of the split, as a run's manifest has it; empty if it is not known.
    """

    labels: Named
    predictions: Named
    losses: np.ndarray
    weight: np.ndarray
    step: int
    weights: str = "best"
    activations: Mapping[str | None, str] = field(default_factory=dict)
    data: str = ""

    def save(self, path: Path) -> None:
        """Write an `.npz`: `labels`, `predictions` (several outputs: `labels/NAME`), `losses`, ….

        Raises:
            RunFolderError: if it cannot be written.
        """
        arrays = {_key("labels", name): array for name, array in self.labels.items()}
        arrays |= {_key("predictions", name): array for name, array in self.predictions.items()}
        arrays |= {"losses": self.losses, "weight": self.weight, "step": np.array(self.step)}
        arrays |= {_key("activation", name): np.array(k) for name, k in self.activations.items()}
        arrays |= {"weights": np.array(self.weights), "data": np.array(self.data)}
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> "SplitPredictions":
        """Read what `save` wrote.

        Raises:
            ValueError: if the file is damaged or something else.
            OSError: if it cannot be read.
        """
        try:
            arrays = _known_arrays(path)
            named: dict[str, dict[str | None, np.ndarray]] = {kind: {} for kind in _OF_OUTPUTS}
            for key, array in arrays.items():
                kind, _, name = key.partition("/")
                if kind in named:
                    named[kind][name or None] = array
            labels, predictions, activations = named.values()
            losses, weight = arrays["losses"], arrays["weight"]
            _check(labels, predictions, losses, weight)
            return cls(
                labels,
                predictions,
                losses,
                weight,
                int(arrays["step"]),
                str(arrays["weights"]),
                {name: str(array) for name, array in activations.items()},
                str(arrays.get("data", "")),  # older files have none
            )
        except OSError:
            raise
        except Exception as error:
            # What a forged or cut-off archive raises is of many kinds.
            raise ValueError(f"{path}: holds no predictions ({error}); evaluate anew") from error


def predict_split(trainer: "Trainer", split: str) -> SplitPredictions:
    """Run the model over a split, each example once, with the weights that `evaluate` scores.

    After `trainer.evaluate` of the split it is compiled as that was, so that bfloat16 rounds alike.

    Args:
        trainer: built, its weights loaded.
        split: one that its data has.

    Raises:
        ValueError: if the data has no such split, or the outputs do not fit the labels.
        UnreadableExamplesError: naming examples on disk that cannot be read.
    """
    # Here, so that who only reads predictions does not wait for TensorFlow.
    import tensorflow as tf

    from trainer.data.data import labels_of, model_inputs
    from trainer.predictions import activated, link, of_output

    feed = trainer.data.evaluation_feed(split)
    trainer.begin_chunk(trainer.step)

    @tf.function(autograph=False, jit_compile=trainer.is_jit_compiled(split) or None)
    def predict(plan: Any) -> tuple[Any, Any, tf.Tensor, tf.Tensor]:
        batch = trainer.data.transform.evaluation(feed.batch(plan, tf.constant(0)))
        labels = labels_of(batch)
        outputs = trainer.model(model_inputs(batch), training=False)
        losses = trainer.loss(labels, outputs) + trainer.penalty()
        predictions = activated(outputs, trainer.activation, labels)
        return labels, predictions, losses, batch["weight"]

    batches = []
    with trainer.updater.averaged_weights():
        for step in range(feed.steps_per_epoch):
            try:
                results = predict(feed.plan(step, 1, 1))
            except (TypeError, ValueError, tf.errors.OpError) as error:
                feed.check(step, 1)
                reason = " ".join(str(error).split())
                raise ValueError(f"the outputs do not fit the labels: {reason}") from error
            num = feed.num_in_batch(step)
            batches.append(tf.nest.map_structure(partial(_first_rows, num), results))
    labels, predictions, losses, weight = tf.nest.map_structure(
        lambda *parts: np.concatenate(parts), *batches
    )
    labels, predictions = _named(labels), _named(predictions)
    activations = {
        name: link(
            of_output(trainer.activation, name),
            tf.constant(predictions[name][:1]),
            tf.constant(labels[name][:1]),
        )
        for name in labels.keys() & predictions.keys()
    }
    return SplitPredictions(
        labels, predictions, losses, weight, trainer.step, activations=activations
    )


def _known_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `save` writes; others, which somebody added, are not unpacked."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {_MOST_BYTES:,}")
    with np.load(path) as file:  # which unpickles nothing unless told to
        return {
            key: file[key]
            for key in file.files
            if key in _OF_ALL or key.partition("/")[0] in _OF_OUTPUTS
        }


def _first_rows(num: int, tensor: Any) -> np.ndarray:
    return tensor.numpy()[:num]


def _check(labels: Named, predictions: Named, losses: np.ndarray, weight: np.ndarray) -> None:
    if not labels or labels.keys() != predictions.keys():
        raise ValueError(f"labels of {list(labels)}, predictions of {list(predictions)}")
    for array in (*labels.values(), *predictions.values(), losses, weight):
        if array.dtype.kind not in "biuf" or array.ndim == 0 or len(array) != len(losses):
            raise ValueError(f"{array.dtype} {list(array.shape)} for {losses.shape} examples")
    if losses.ndim != 1 or weight.ndim != 1:
        raise ValueError("losses and weights that are not one an example")


def _named(arrays: Any) -> Named:
    return arrays if isinstance(arrays, Mapping) else {None: arrays}


def _key(kind: str, name: str | None) -> str:
    return kind if name is None else f"{kind}/{name}"
