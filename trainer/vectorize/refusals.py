"""What cannot be trained with several seeds at once, each said in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.data.feeds import ResidentFeed
from trainer.trainer import Trainer

_HINT = "leave out vectorize=seeds"
# Python, iterators and random numbers that go on from the last ones have one state for all seeds.
_NOT_VECTORIZED = (
    *("EagerPyFunc", "PyFunc", "Iterator", "RandomUniform", "RandomStandardNormal"),
    *("TruncatedNormal", "RandomShuffle", "Multinomial"),
)


class NotVectorizedError(ValueError):
    """What is to be trained has no form for several seeds at once; one line for the user."""


def check_together(trainers: Sequence[Trainer]) -> None:
    """Check Trainers that are built, before their first step.

    Raises:
        NotVectorizedError: if their steps are not the same but for the variables.
    """
    first = trainers[0]
    for callback in first.own_callbacks:
        if type(callback).next_change is not TrainerCallback.next_change:
            name = type(callback).__name__
            raise NotVectorizedError(f"vectorize=seeds: {name} changes what is trained; {_HINT}")
    for trainer in trainers[1:]:
        shapes = {name: v.shape for name, v in trainer.variables.items()}
        if shapes != {name: v.shape for name, v in first.variables.items()}:
            raise NotVectorizedError(f"vectorize=seeds: the seeds' models differ; {_HINT}")
    for split, feed in first.data.feeds.items():
        for trainer in trainers:
            other = trainer.data.feeds[split]
            if not isinstance(feed, ResidentFeed) or not isinstance(other, ResidentFeed):
                raise NotVectorizedError(f"vectorize=seeds: data is not in memory; {_HINT}")
            if not _are_equal(feed.arrays, other.arrays):
                raise NotVectorizedError(
                    f"vectorize=seeds: the seeds have other examples in {split}; {_HINT}"
                )


def check_step(traced: Any, variables: Sequence[keras.Variable]) -> None:
    """Check a step that was traced for several seeds.

    Args:
        traced: a concrete function.
        variables: of one seed, those that have stand-ins.

    Raises:
        NotVectorizedError: if it does what only one seed can have, or reads other variables.
    """
    for op in traced.graph.get_operations():
        if op.type.startswith(_NOT_VECTORIZED) or op.type.startswith(("Assign", "ResourceApply")):
            raise NotVectorizedError(f"vectorize=seeds: a step has {op.type}; {_HINT}")
    own = {id(variable.value) for variable in variables}
    for variable in traced.graph.variables:
        if id(variable) not in own:
            raise NotVectorizedError(
                f"vectorize=seeds: a step reads {variable.name}, which is not saved; {_HINT}"
            )


def _are_equal(ours: Mapping[str, tf.Tensor], theirs: Mapping[str, tf.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[key].numpy(), theirs[key].numpy()) for key in ours
    )
