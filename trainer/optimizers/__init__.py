"""Optimizers: Keras' with faster updates, further ones, and several for groups of variables.

Any optimizer of Keras will do beside these. An optimizer in `conf/optimizer` names a class.
"""

from trainer.optimizers.fused import SGD, Adam, AdamW
from trainer.optimizers.lazy_adam import LazyAdam
from trainer.optimizers.lookahead import Lookahead
from trainer.optimizers.members import (
    Optimizer,
    check_arguments,
    exclude_from_weight_decay,
    members,
    set_schedule,
    takes_rows,
)
from trainer.optimizers.muon import Muon
from trainer.optimizers.parameter_groups import ParameterGroups, matches
from trainer.optimizers.radam import RAdam
from trainer.optimizers.rows import pad_rows, sum_rows

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "LazyAdam",
    "Lookahead",
    "Muon",
    "Optimizer",
    "ParameterGroups",
    "RAdam",
    "check_arguments",
    "exclude_from_weight_decay",
    "matches",
    "members",
    "pad_rows",
    "set_schedule",
    "sum_rows",
    "takes_rows",
]
