"""The layers of a model as they are called: from one symbolic pass, whatever kind of model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from trainer.data.data import model_inputs
from trainer.describe.flops import flops_of, loops_among
from trainer.layer_calls import around_layer_calls

Shape = tuple[int | None, ...]


@dataclass
class LayerCall:
    """A call of a layer, with the calls it made.

    Args:
        layer: which.
        depth: 0 for the model, 1 for its layers, and so on.
        output_shapes: of its tensors, without the axis of the examples.
        flops: of the call, those of the layers within included, for one example; None where the
            model does not call it.
        is_repeated: whether the layer was called before, with the same weights.
        inner: the calls within, in order.
    """

    layer: keras.layers.Layer
    depth: int
    output_shapes: list[Shape] = field(default_factory=list)
    flops: int | None = None
    is_repeated: bool = False
    inner: list["LayerCall"] = field(default_factory=list)

    def walk(self) -> Iterator["LayerCall"]:
        """Yield this call and those within, outer ones first."""
        yield self
        for call in self.inner:
            yield from call.walk()

    @property
    def num_trainable(self) -> int:
        """Trainable parameters of the layer and those within."""
        return _num_parameters(self.layer.trainable_weights)

    @property
    def num_frozen(self) -> int:
        """Parameters that no gradient changes: of frozen layers, moving statistics."""
        return _num_parameters(self.layer.non_trainable_weights)


@dataclass(frozen=True)
class ForwardPass:
    """What a model does with an example.

    Args:
        root: the call of the model.
        num_loops: operations whose FLOPs depend on values, and are not counted.
    """

    root: LayerCall
    num_loops: int


def forward_pass(model: keras.Model, inputs: Mapping[str, tf.TensorSpec]) -> ForwardPass:
    """Trace a model for a single example, in inference mode; nothing is computed.

    Layers that it has but does not call are listed at the end, those with weights.

    Args:
        model: built.
        inputs: name to shape and dtype of one example.
    """
    recorder = _Recorder()
    specs = {name: tf.TensorSpec([1, *spec.shape], spec.dtype) for name, spec in inputs.items()}

    @tf.function(autograph=False)
    def forward(batch: dict[str, tf.Tensor]) -> None:
        with recorder.watching():
            model(model_inputs(batch), training=False)

    operations = forward.get_concrete_function(specs).graph.get_operations()
    root = recorder.calls[0]
    called = {id(call.layer) for call in root.walk()}
    for layer in model._flatten_layers(include_self=False, recursive=False):
        if id(layer) not in called and layer.weights:
            root.inner.append(LayerCall(layer, depth=1))
    return ForwardPass(root, sum(loops_among(operations).values()))


class _Recorder:
    """Takes note of the calls of layers while a graph is traced.

    What a call adds to the graph is its own.
    """

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._open: list[LayerCall] = []
        self._called: set[int] = set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        def observed(call: Any, layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
            record = LayerCall(layer, len(self._open), is_repeated=id(layer) in self._called)
            self._called.add(id(layer))
            (self._open[-1].inner if self._open else self.calls).append(record)
            graph = tf.compat.v1.get_default_graph()
            first = len(graph.get_operations())
            self._open.append(record)
            try:
                outputs = call(layer, *args, **kwargs)
            finally:
                self._open.pop()
            record.flops = flops_of(graph.get_operations()[first:])
            tensors = [x for x in tf.nest.flatten(outputs) if tf.is_tensor(x)]
            record.output_shapes = [tuple(x.shape[1:]) for x in tensors if x.shape.rank]
            return outputs

        with around_layer_calls(observed):
            yield


def _num_parameters(weights: list[keras.Variable]) -> int:
    return sum(weight.shape.num_elements() for weight in weights)
