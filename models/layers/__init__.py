"""Layers that the models share."""

from models.layers.conv_module import ConvModule
from models.layers.downsample_module import DownsampleModule
from models.layers.fused_batch_normalization import FusedBatchNormalization
from models.layers.inception_module import InceptionModule
from models.layers.stateless_dropout import StatelessDropout

__all__ = [
    "ConvModule",
    "DownsampleModule",
    "FusedBatchNormalization",
    "InceptionModule",
    "StatelessDropout",
]
