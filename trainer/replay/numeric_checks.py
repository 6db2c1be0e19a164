"""Which operation of a step was the first to yield a NaN or an infinity."""

import contextlib
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from trainer.nonfinite import all_finite
from trainer.replay.summary import Summary, summarise

MAX_NUM = 100
"""Bad operations that are taken note of. What comes after the first is mostly its consequence."""

_PACKAGES = [sys.modules[name] for name in ("tensorflow", "keras", "optree", __package__)]
_NOT_SHOWN = (*(str(Path(str(p.__file__)).parent) for p in _PACKAGES), contextlib.__file__)
# These make no values: what they are given is at fault, or the variable, which is named elsewhere.
_NOT_AT_FAULT = {
    *("ReadVariableOp", "Identity", "StopGradient", "Reshape", "Squeeze", "ExpandDims"),
    *("Transpose", "Slice", "StridedSlice", "GatherV2", "ConcatV2", "Pack", "Unpack", "Split"),
}


@dataclass(frozen=True)
class Place:
    """Where an operation was called.

    Args:
        layer: the layer being called, empty outside of all.
        line: `file.py:12`, the innermost line outside of TensorFlow and Keras.
        code: that line's text.
    """

    layer: str
    line: str
    code: str


@dataclass(frozen=True)
class BadOperation:
    """An operation that yielded a value that is not finite.

    Args:
        op: its type, such as `Log`.
        gradient_of: the type of the operation whose gradient it is part of; empty: of none.
        place: where it was called, or where that operation was.
        inputs: what it was given, floating point alone.
        output: what it yielded.
        has_finite_inputs: whether it is here that it went wrong.
    """

    op: str
    gradient_of: str
    place: Place
    inputs: list[Summary]
    output: Summary
    has_finite_inputs: bool

    def in_words(self) -> str:
        """Return it in one line."""
        what = f"{self.op}, in the gradient of {self.gradient_of}" if self.gradient_of else self.op
        where = f", layer {self.place.layer}" if self.place.layer else ""
        line = f", {self.place.line} `{self.place.code}`" if self.place.line else ""
        inputs = "; ".join(summary.range_in_words for summary in self.inputs) or "none"
        return f"{what}{where}{line}: inputs {inputs}; output {self.output.range_in_words}"


class NumericChecks:
    """Looks at the outputs of every operation that runs eagerly in this thread.

    What `tf.debugging.enable_check_numerics` is made of as well. That one raises at the first
    infinity, even one meant to be there (a mask of -inf), and then nothing more is seen of the
    step. What runs inside a `tf.function` is one operation here, named after the function.

    Args:
        layer: returns the name of the layer being called.
    """

    def __init__(self, layer: Callable[[], str]) -> None:
        self.bad: list[BadOperation] = []
        """In the order in which they ran."""
        self._layer = layer
        self._by_output: dict[int, Place] = {}
        self._by_input: dict[tuple[str, int], Place] = {}
        self._kept: list[Any] = []  # a tensor's id is its own while the tensor is there

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the operations within the context."""
        op_callbacks.add_op_callback(self._after)
        try:
            yield
        finally:
            op_callbacks.remove_op_callback(self._after)
            self._by_output, self._by_input, self._kept = {}, {}, []

    def first(self, is_broken_already: bool) -> BadOperation | None:
        """Return the operation at fault, if there is one.

        Args:
            is_broken_already: whether the batch or the variables were not finite: the first bad
                operation is then one that was given such a value. Otherwise it is one that made
                such a value of finite ones, so that a mask of -inf is passed over.
        """
        made_here = [] if is_broken_already else [b for b in self.bad if b.has_finite_inputs]
        return next(iter(made_here or self.bad), None)

    def _after(
        self,
        op: str | bytes,
        inputs: Any,
        attrs: Any,
        outputs: Any,
        op_name: str | None = None,
        graph: tf.Graph | None = None,
    ) -> None:
        del attrs, op_name
        if graph is not None:  # tracing a function
            return
        op = op.decode() if isinstance(op, bytes) else op
        gradient_of, place = self._place(op, inputs, outputs)
        if op in _NOT_AT_FAULT or len(self.bad) >= MAX_NUM:
            return
        for output in _floats(outputs):
            if not all_finite(output.numpy()):
                given = [summarise(tensor.numpy()) for tensor in _floats(inputs)]
                is_finite = not any(summary.num_non_finite for summary in given)
                self.bad.append(
                    BadOperation(
                        op, gradient_of, place, given, summarise(output.numpy()), is_finite
                    )
                )
                return

    def _place(self, op: str, inputs: Any, outputs: Any) -> tuple[str, Place]:
        """Return what an operation is the gradient of, and where it or that was called."""
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code.co_filename.startswith(_NOT_SHOWN):
            if frame.f_code.co_name == "_gradient_function":
                forward = frame.f_locals
                place = self._of_forward(forward)
                if place:
                    return str(forward["op_name"]), place
            frame = frame.f_back
        place = Place(self._layer(), *_line(frame))
        # The tape hands these very tensors to the operation's gradient.
        self._kept += [*inputs, *outputs]
        for tensor in outputs:
            self._by_output[id(tensor)] = place
        for tensor in inputs:
            self._by_input[op, id(tensor)] = place
        return "", place

    def _of_forward(self, forward: dict[str, Any]) -> Place | None:
        """Find the operation whose gradient function has these local variables."""
        found = [self._by_output.get(id(tensor)) for tensor in forward.get("outputs") or ()]
        op = forward.get("op_name")
        found += [self._by_input.get((str(op), id(x))) for x in forward.get("inputs") or ()]
        return next((place for place in found if place), None)


def _floats(tensors: Any) -> list[tf.Tensor]:
    return [x for x in tensors if isinstance(x, tf.Tensor) and x.dtype.is_floating]


def _line(frame: FrameType | None) -> tuple[str, str]:
    if frame is None:
        return "", ""
    path, number = Path(frame.f_code.co_filename), frame.f_lineno
    code = linecache.getline(str(path), number).strip()
    home = Path(__file__).resolve().parents[2]
    shown = path.relative_to(home) if path.is_relative_to(home) else path
    return f"{shown}:{number}", code


def non_finite_rows(array: np.ndarray) -> list[int]:
    """Return the positions along the first axis that hold a value that is not finite."""
    if array.dtype.kind in "iubSUO" or not array.ndim:
        return []
    flat = array.astype(np.float32).reshape(len(array), -1)
    return [int(k) for k in np.flatnonzero(~np.isfinite(flat).all(axis=1))]
