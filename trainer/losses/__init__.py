"""Losses: `(labels, outputs) -> per-example float32 [B]`. The Trainer alone averages them."""

from trainer.losses.contract import PerExampleLoss, per_example
from trainer.losses.cross_entropy import CrossEntropy
from trainer.losses.of_predictions import OfPredictions
from trainer.losses.per_output import PerOutput
from trainer.losses.power import Power
from trainer.losses.python_function import PythonFunction
from trainer.predictions import is_integer

__all__ = [
    "CrossEntropy",
    "OfPredictions",
    "PerExampleLoss",
    "PerOutput",
    "Power",
    "PythonFunction",
    "is_integer",
    "per_example",
]
