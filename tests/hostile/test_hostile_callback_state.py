"""What a checkpoint says that a callback remembers, and no callback can."""

import keras
import pytest

from trainer.checkpoint import CheckpointError
from trainer.state import callback_state, restore_callback

REMEMBERED = [
    {"__class__": "x"},
    {"on_epoch_end": 1},
    {"model": "x"},
    {"wait": "x"},
    {"wait": [1]},
    {"_trainer": 1},
]


@pytest.mark.parametrize("remembered", REMEMBERED, ids=str)
def test_what_no_callback_can_remember_is_one_line(remembered):
    callback = keras.callbacks.EarlyStopping()
    before = callback_state(callback)
    with pytest.raises(CheckpointError, match=f"EarlyStopping.*{next(iter(remembered))!r}"):
        restore_callback(callback, before | remembered, {})
    assert callback_state(callback) == before
