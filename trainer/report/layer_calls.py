"""What passes through each layer of a model while it is called: nested ones and those in lists."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

OnCall = Callable[[str, keras.layers.Layer, Any, Any], Any]
"""`(name, layer, inputs, outputs) -> outputs`, which go on in place of those."""


@contextmanager
def watching(model: keras.Model, on_call: OnCall) -> Iterator[None]:
    """Have a function see, and change, what each layer of a model returns.

    A model is not cut in two for it, which only functional models can be: the calls themselves are
    intercepted, in this thread and for as long as the context lasts.

    Args:
        model: its own call is left alone, only those of its layers are seen.
        on_call: is given the layer's name with those of the layers around it, `block/conv`; from a
            second call on with its number, `block/conv (call 2)`. Inner layers come before outer.
    """
    call = keras.layers.Layer.__call__
    names: list[str] = []
    num_calls: dict[str, int] = {}

    def watched(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
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

    keras.layers.Layer.__call__ = watched
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = call
