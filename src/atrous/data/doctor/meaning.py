"""What the values of surveyed masks mean under a scheme, without reading them again."""

from collections.abc import Iterable

import numpy as np

from atrous.data.doctor.survey import Form, MaskFacts
from atrous.data.labels import LabelScheme
from atrous.errors import DataError

UNKNOWN = -1


class Meaning:
    """The label of every value, asked of the scheme once each, exactly as a training asks it.

    Args:
        scheme: What mask values mean.
    """

    def __init__(self, scheme: LabelScheme) -> None:
        self.scheme = scheme
        self._labels: dict[tuple[Form, int], int] = {}

    def labels(self, mask: MaskFacts) -> np.ndarray:
        """Return (V,) int64: the label of each value of a mask, 255 ignored, -1 in no class."""
        return np.array([self.label(mask.form, value) for value in mask.values.tolist()], np.int64)

    def label(self, form: Form, value: int) -> int:
        """Return the label of a number, or of a colour 0xRRGGBB."""
        key = (form, value)
        if key not in self._labels:
            self._labels[key] = self._ask(form, value)
        return self._labels[key]

    def counts(self, masks: Iterable[MaskFacts]) -> np.ndarray:
        """Return (257,) int64: the pixels of each label 0 to 255, and at last those of none."""
        total = np.zeros(257, dtype=np.int64)
        for mask in masks:
            np.add.at(total, self.labels(mask), mask.counts)
        return total

    def _ask(self, form: Form, value: int) -> int:
        if form == "grey":
            raw = np.array([[value]], dtype=np.uint16)
        else:
            raw = np.array([[[value >> 16, value >> 8 & 255, value & 255]]], dtype=np.uint8)
        try:
            return int(self.scheme.encode(raw, "")[0, 0])
        except DataError:
            return UNKNOWN
