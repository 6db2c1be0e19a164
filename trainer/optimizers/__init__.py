"""Optimizers: Keras' with faster updates, further ones, and several for groups of variables.

Any optimizer of Keras will do beside these. An optimizer in `conf/optimizer` names a class.
"""

from trainer.optimizers.fused import SGD, Adam, AdamW
from trainer.optimizers.lookahead import Lookahead
from trainer.optimizers.members import (
    Optimizer,
    check_arguments,
    exclude_from_weight_decay,
    members,
    set_schedule,
)
from trainer.optimizers.muon import Muon
from trainer.optimizers.parameter_groups import ParameterGroups, matches
from trainer.optimizers.radam import RAdam

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Lookahead",
    "Muon",
    "Optimizer",
    "ParameterGroups",
    "RAdam",
    "check_arguments",
    "exclude_from_weight_decay",
    "matches",
    "members",
    "set_schedule",
]
