"""TapeLoop: custom training loops for TensorFlow 2 and Keras 3.

The public names are loaded when they are first used, so that `import trainer` and the command line
do not wait for TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.callbacks.progress import Progress
    from trainer.data.data import Data
    from trainer.optimizers import ParameterGroups
    from trainer.trainer import Trainer
    from trainer.update import Update

_HOMES = {
    "Data": "trainer.data.data",
    "Progress": "trainer.callbacks.progress",
    "ParameterGroups": "trainer.optimizers",
    "Trainer": "trainer.trainer",
    "Update": "trainer.update",
}

__all__ = ["Data", "ParameterGroups", "Progress", "Trainer", "Update"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'trainer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
