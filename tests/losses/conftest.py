import numpy as np
import pytest

IGNORE = 255


@pytest.fixture(scope="session")
def upsampled_by_hand():
    """Return a function from logits (B, K, h, w) and a target (B, H, W) to the pixels that count.

    They are scores (N, K) in float64 and labels (N,), by the definition of the bilinear filter.
    """

    def pixels(logits, target):
        scores, labels = [], []
        for image, truth in zip(np.asarray(logits, dtype=np.float64), target, strict=True):
            rows = _between_cells(image.shape[1], truth.shape[0])
            columns = _between_cells(image.shape[2], truth.shape[1])
            for row, label_row in zip(rows, truth.tolist(), strict=True):
                for column, label in zip(columns, label_row, strict=True):
                    if label != IGNORE:
                        scores.append(np.einsum("khw,h,w->k", image, row, column))
                        labels.append(label)
        return np.array(scores).reshape(-1, logits.shape[1]), np.array(labels, dtype=int)

    return pixels


def _between_cells(cells: int, pixels: int) -> np.ndarray:
    """How much of each cell each pixel takes: (pixels, cells), bilinear, corners not aligned."""
    shares = np.zeros((pixels, cells))
    for pixel in range(pixels):
        place = max((pixel + 0.5) * cells / pixels - 0.5, 0)
        low = min(int(place), cells - 1)
        shares[pixel, low] += 1 - (place - low)
        shares[pixel, min(low + 1, cells - 1)] += place - low
    return shares
