"""From photographs to class maps: one picture in Python, whole folders for the command."""

from atrous.predict.segmentation import Segmentation as Segmentation
from atrous.predict.segmenter import Segmenter as Segmenter
