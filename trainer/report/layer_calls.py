"""What passes through each layer of a model while it is called: nested ones and those in lists."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from trainer.layer_calls import around_layer_calls

OnCall = Callable[[str, keras.layers.Layer, Any, Any], Any]
"""`(name, layer, inputs, outputs) -> outputs`, which go on in place of those."""


@contextmanager
def watching(model: keras.Model, on_call: OnCall) -> Iterator[None]:
    """Have a function see, and change, what each layer of a model returns.

    Args:
        model: its own call is left alone, only those of its layers are seen.
        on_call: is given the layer's name with those of the layers around it, `block/conv`; from a
            second call on with its number, `block/conv (call 2)`. Inner layers come before outer.
    """
    names: list[str] = []
    num_calls: dict[str, int] = {}

    def watched(call: Any, layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if layer is model:
            return call(layer, *args, **kwargs)
        names.append(layer.name)
        name = "/".join(names)
        try:
            outputs = call(layer, *args, **kwargs)
        finally:
            names.pop()
        num_calls[name] = num_calls.get(name, 0) + 1
        if num_calls[name] > 1:
            name = f"{name} (call {num_calls[name]})"
        return on_call(name, layer, args[0] if args else None, outputs)

    with around_layer_calls(watched):
        yield
