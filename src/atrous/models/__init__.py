"""Whole networks: assembly of backbone, pyramid, decoder and classifier."""

from atrous.models.blueprint import Blueprint as Blueprint
from atrous.models.conventions import Conventions as Conventions
from atrous.models.create import ARCHITECTURES as ARCHITECTURES
from atrous.models.create import build as build
from atrous.models.create import create_model as create_model
from atrous.models.preprocessing import Preprocessing as Preprocessing
from atrous.models.segmentation_model import SegmentationModel as SegmentationModel
