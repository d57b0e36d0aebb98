"""The layers of DeepLab: tensors in, tensors out."""

from atrous.nn import geometry as geometry
from atrous.nn.aspp import ASPP as ASPP
from atrous.nn.conv import BatchNorm2d as BatchNorm2d
from atrous.nn.conv import ConvNormAct as ConvNormAct
from atrous.nn.decoder import Decoder as Decoder
