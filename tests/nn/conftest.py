"""Plain references: loops over cells and taps, in float64."""

from collections.abc import Callable

import numpy as np
import pytest

LoopedConv = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def looped_conv() -> LoopedConv:
    """Atrous convolution by its definition: y[i] = sum over taps k of w[k] x[i + rate * k]."""

    def convolve(x: np.ndarray, weight: np.ndarray, rate: int) -> np.ndarray:
        """Convolve x (C, H, W) with weight (D, C, K, K), K odd; what lies outside x counts 0."""
        _, height, width = x.shape
        reach = weight.shape[-1] // 2
        y = np.zeros((weight.shape[0], height, width))
        for row in range(height):
            for column in range(width):
                for down in range(-reach, reach + 1):
                    for right in range(-reach, reach + 1):
                        at_row, at_column = row + rate * down, column + rate * right
                        if 0 <= at_row < height and 0 <= at_column < width:
                            tap = weight[:, :, reach + down, reach + right]
                            y[:, row, column] += tap @ x[:, at_row, at_column]
        return y

    return convolve
