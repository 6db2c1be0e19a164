"""Layers that the models share, and examples of layers of one's own."""

from models.layers.basic_residual import BasicResidual
from models.layers.conv_batch_norm import ConvBatchNorm
from models.layers.conv_module import ConvModule
from models.layers.cropped_conv import CroppedConv2D
from models.layers.custom_dropout import CustomDropout
from models.layers.downsample_module import DownsampleModule
from models.layers.exponential import Exponential
from models.layers.fused_batch_normalization import FusedBatchNormalization
from models.layers.inception_module import InceptionModule
from models.layers.linear import Linear
from models.layers.multi_path_residual import (
    BottleneckPath,
    MultiPathResidual,
    ScalingMultiPathResidual,
)
from models.layers.multiply import MultiplyLayer
from models.layers.network_input import NetworkInput
from models.layers.pre_activation_residual import PreActivationResidual
from models.layers.stateless_dropout import StatelessDropout

__all__ = [
    "BasicResidual",
    "BottleneckPath",
    "ConvBatchNorm",
    "ConvModule",
    "CroppedConv2D",
    "CustomDropout",
    "DownsampleModule",
    "Exponential",
    "FusedBatchNormalization",
    "InceptionModule",
    "Linear",
    "MultiPathResidual",
    "MultiplyLayer",
    "NetworkInput",
    "PreActivationResidual",
    "ScalingMultiPathResidual",
    "StatelessDropout",
]
