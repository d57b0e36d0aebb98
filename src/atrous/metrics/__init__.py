"""Scores of a segmentation."""

from atrous.metrics.confusion import ConfusionMatrix as ConfusionMatrix
from atrous.metrics.confusion import Scores as Scores
from atrous.metrics.confusion import class_iou as class_iou
from atrous.metrics.confusion import frequency_weighted_iou as frequency_weighted_iou
from atrous.metrics.confusion import mean_class_accuracy as mean_class_accuracy
from atrous.metrics.confusion import mean_iou as mean_iou
from atrous.metrics.confusion import pixel_accuracy as pixel_accuracy
