"""The layers of DeepLab: tensors in, tensors out."""

from atrous.nn import geometry as geometry
from atrous.nn.aspp import ASPP as ASPP
from atrous.nn.aspp_v2 import ASPPv2 as ASPPv2
from atrous.nn.atrous_conv import atrous_conv1d as atrous_conv1d
from atrous.nn.atrous_conv import atrous_conv2d as atrous_conv2d
from atrous.nn.atrous_conv import polyphase_atrous_conv2d as polyphase_atrous_conv2d
from atrous.nn.cascade import Cascade as Cascade
from atrous.nn.consistency import consistency_error as consistency_error
from atrous.nn.conv import BatchNorm2d as BatchNorm2d
from atrous.nn.conv import ConvNormAct as ConvNormAct
from atrous.nn.decoder import Decoder as Decoder
from atrous.nn.dense_aspp import DenseASPP as DenseASPP
from atrous.nn.dilation import set_multi_grid as set_multi_grid
from atrous.nn.dilation import set_output_stride as set_output_stride
from atrous.nn.dpc import DPC as DPC
from atrous.nn.fcn_head import FCNHead as FCNHead
from atrous.nn.large_fov import LargeFOV as LargeFOV
from atrous.nn.lr_aspp import LRASPP as LRASPP
from atrous.nn.pyramid import DeadTapsWarning as DeadTapsWarning
from atrous.nn.pyramid import Pyramid as Pyramid
from atrous.nn.wasp import WASP as WASP
