"""What happens inside a model: a look at each call of a layer, nested ones and those in lists."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

Around = Callable[..., Any]
"""`(call, layer, *args, **kwargs) -> outputs`, where `call(layer, ...)` is the layer's own call."""


@contextmanager
def around_layer_calls(around: Around) -> Iterator[None]:
    """Have a function stand around every call of a layer, for as long as the context lasts.

    Keras calls all layers by `keras.layers.Layer.__call__`, so no model has to be cut in two for
    it, which only functional ones can be.

    Args:
        around: is given the calls of all layers in this process, outer ones before inner ones.
    """
    call = keras.layers.Layer.__call__

    def watched(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        return around(call, layer, *args, **kwargs)

    keras.layers.Layer.__call__ = watched
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = call
