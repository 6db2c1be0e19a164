"""The model on TensorBoard's graph page."""

from collections import Counter
from typing import Any

import tensorflow as tf

from trainer.callbacks.trainer_callback import TrainerCallback


class ModelGraph(TrainerCallback):
    """Writes the model's operations once, as an evaluation's step was traced anyway.

    Without a validation split they are those of a training step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_written = False
        """Remembered by checkpoints."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write the graph of the evaluation."""
        self._write()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the graph of a training step, where nothing is evaluated."""
        if "val" not in self.trainer.data.feeds:
            self._write()

    def _write(self) -> None:
        graph, writer = self.trainer.graph, self.trainer.writer
        if not self.is_written and graph is not None and writer is not None:
            split = "val" if "val" in self.trainer.data.feeds else "train"
            of_model = part(graph.as_graph_def(add_shapes=True), self.trainer.model.name)
            writer.graph(of_model.SerializeToString(), split)
            self.is_written = True


def part(graph: tf.compat.v1.GraphDef, name: str) -> tf.compat.v1.GraphDef:
    """Return the operations of a model in a graph, with what they take; all, if it has none.

    Loss and metrics around a model would take up most of the page.

    Args:
        graph: of a step.
        name: of the model, which names the scope of its operations; TensorFlow may number it.
    """
    scopes = Counter(node.name.partition("/")[0] for node in graph.node if "/" in node.name)
    own = [scope for scope in scopes if scope == name or scope.startswith(f"{name}_")]
    if not own:
        return graph
    prefix = f"{max(own, key=lambda scope: scopes[scope])}/"
    of_model = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    inside = [node for node in graph.node if node.name.startswith(prefix)]
    taken = {word.lstrip("^").partition(":")[0] for node in inside for word in node.input}
    for node in graph.node:
        if node.name.startswith(prefix):
            of_model.node.add().CopyFrom(node)
        elif node.name in taken:
            outside = of_model.node.add()
            outside.CopyFrom(node)
            del outside.input[:]
    return of_model
