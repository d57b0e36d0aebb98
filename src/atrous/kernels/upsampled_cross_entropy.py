"""Cross-entropy of bilinearly upsampled logits, in blocks of rows that stay in the cache.

Bilinear upsampling is a small matrix along the columns and one along the rows, both nearly all
zeros. An image is widened to all columns of the labels. Then blocks of its rows are interpolated,
turned into losses and, in the same memory, into the gradient of their sum, which the transposed
matrices bring back to the grid of the logits. So the gradient is there when the loss is, the way
back only scales it, and of the logits at full size one block exists at a time.

On the CPU each image is the work of one thread. Were each small step shared among threads, they
would wait for one another ten thousand times, and for long where others use the cores too.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Values in a block: 1 MiB of them stays in a core's cache, while a GPU wants few large steps.
_BLOCK_ON_CPU, _BLOCK_ELSEWHERE = 1 << 18, 1 << 24
# Values at full size for which a thread is worth its start.
_VALUES_OF_THREAD = 1 << 20
# Columns that are made by one product: of few, the matrix has few zeros.
_COLUMNS = 64


class Terms(NamedTuple):
    """What beside logits and labels makes the loss; see `torch.nn.functional.cross_entropy`."""

    weight: Tensor | None  # (K,), of the type of the logits; None is 1 for all
    ignore_index: int
    label_smoothing: float


def summed_cross_entropy(logits: Tensor, target: Tensor, terms: Terms) -> Tensor:
    """Return the sum of the pixels' losses, for logits brought to the target's size bilinearly.

    The same input gives the same bits. It can be differentiated once.

    Args:
        logits: (B, K, h, w) in float32 or float64, in any layout.
        target: (B, H, W) int64 classes 0 to K-1, or `terms.ignore_index`.
        terms: Class weights, the index that is ignored, and the label smoothing.

    Example:
        >>> target = torch.zeros(1, 8, 8, dtype=torch.long)
        >>> terms = Terms(None, ignore_index=255, label_smoothing=0.0)
        >>> round(summed_cross_entropy(torch.zeros(1, 4, 2, 2), target, terms).item(), 2)
        88.72
    """
    return _Sum.apply(logits if torch.is_grad_enabled() else logits.detach(), target, terms)


@torch.no_grad()
def pixel_cross_entropies(logits: Tensor, target: Tensor, terms: Terms) -> Tensor:
    """Return the summands of `summed_cross_entropy`, (B, H, W), which have no gradient.

    Example:
        >>> target = torch.tensor([[[0, 255]]])
        >>> terms = Terms(None, ignore_index=255, label_smoothing=0.0)
        >>> pixel_cross_entropies(torch.zeros(1, 4, 1, 1), target, terms)
        tensor([[[1.3863, 0.0000]]])
    """
    losses = logits.new_empty(target.shape)

    def work(images: slice) -> None:
        for image, rows, block in _blocks(logits[images], target.shape[1:]):
            labels = target[images][image, rows]
            losses[images][image, rows] = _losses(block, labels, terms, differentiate=False)

    _in_threads(work, logits, target.numel() * logits.shape[1])
    return losses


class _Sum(torch.autograd.Function):
    """The sum over all pixels, which finds its gradient on the way."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, terms: Terms) -> Tensor:
        learns = ctx.needs_input_grad[0]
        gradient = torch.empty_like(logits) if learns else None
        sums = logits.new_zeros(len(logits))

        def work(images: slice) -> None:
            part = None if gradient is None else gradient[images]
            for image, rows, block in _blocks(logits[images], target.shape[1:], part):
                labels = target[images][image, rows]
                sums[images][image] += _losses(block, labels, terms, differentiate=learns).sum()

        _in_threads(work, logits, target.numel() * logits.shape[1])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return sums.sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        if torch.is_grad_enabled():  # the gradient would pass for a constant
            raise RuntimeError(
                "upsampled_cross_entropy can be differentiated once, and create_graph was asked "
                "for; use atrous.losses.cross_entropy.plain_upsampled_cross_entropy for more"
            )
        (gradient,) = ctx.saved_tensors
        return grad_outputs[0] * gradient, None, None


def _in_threads(work: Callable[[slice], None], logits: Tensor, values: int) -> None:
    """Let threads, on the CPU as many as torch may use, work on a share of the images each."""
    threads = torch.get_num_threads() if logits.device.type == "cpu" else 1
    crew = max(1, min(threads, len(logits), values // _VALUES_OF_THREAD))
    inference = torch.is_inference_mode_enabled()

    def work_alike(images: slice) -> None:
        with torch.inference_mode(inference), torch.no_grad():  # each thread has modes of its own
            work(images)

    with _full_precision:
        if threads == 1:
            return work_alike(slice(None))
        torch.set_num_threads(1)
        try:
            if crew == 1:
                return work_alike(slice(None))
            with ThreadPoolExecutor(crew) as pool:
                list(pool.map(work_alike, [slice(first, None, crew) for first in range(crew)]))
        finally:
            torch.set_num_threads(threads)


def _losses(block: Tensor, labels: Tensor, terms: Terms, *, differentiate: bool) -> Tensor:
    """Return the loss of each pixel (R, W), and leave the gradient of their sum in `block`.

    Args:
        block: (R, K, W) logits, which are overwritten.
        labels: (R, W).
        terms: Of the loss.
        differentiate: Whether the gradient is wanted; if not, `block` is of no more use.
    """
    labels = labels[:, None]
    counted = labels != terms.ignore_index
    truth = labels.where(counted, 0)
    share = counted.to(block.dtype)
    even = block.new_full((block.shape[1], 1), terms.label_smoothing / block.shape[1])
    if terms.weight is not None:
        share *= terms.weight[truth]
        even *= terms.weight[:, None]
    pull = share
    if terms.label_smoothing:
        share *= 1 - terms.label_smoothing
        even = even * counted
        pull = share + even.sum(dim=1, keepdim=True)
    block -= block.amax(dim=1, keepdim=True)
    losses = -share * block.gather(1, truth)
    if terms.label_smoothing:
        losses -= (even * block).sum(dim=1, keepdim=True)
    mass = block.exp_().sum(dim=1, keepdim=True)
    losses += pull * mass.log()
    if differentiate:
        block *= pull / mass
        block.scatter_add_(1, truth, -share)
        if terms.label_smoothing:
            block -= even
    return losses.where(counted, 0)[:, 0]


class _Band(NamedTuple):
    """Neighbouring pixels of an axis, the cells around them, and what they take of each cell."""

    pixels: slice
    cells: slice
    weights: Tensor | None  # (pixels, cells); None where each pixel is a cell

    def interpolate(self, cells: Tensor, pixels: Tensor) -> None:
        """Make (P, N) `pixels` of this band, from all cells (C, N) of the axis."""
        if self.weights is None:
            pixels.copy_(cells[self.cells])
        else:
            torch.mm(self.weights, cells[self.cells], out=pixels)

    def transpose(self, pixels: Tensor, cells: Tensor) -> None:
        """Add to `cells` (C, N) what the gradient of `pixels` (P, N) is for them."""
        if self.weights is None:
            cells[self.cells] += pixels
        else:
            cells[self.cells].addmm_(self.weights.T, pixels)


def _bands(cells: int, pixels: int, step: int, like: Tensor) -> list[_Band]:
    """Cut an axis into bands of `step` pixels.

    Before the first centre and after the last one, positions clamp. They are found in float64: in
    float32, as `torch.nn.functional.interpolate` does it, they alone cost 1e-5 of the gradient.
    """
    cuts = [slice(start, min(start + step, pixels)) for start in range(0, pixels, step)]
    if cells == pixels:
        return [_Band(cut, cut, None) for cut in cuts]
    position = ((torch.arange(pixels).double() + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
    first = position.long().clamp(max=cells - 1)
    second = (first + 1).clamp(max=cells - 1)
    late = (position - first).clamp(max=1)
    weights = position.new_zeros(pixels, cells)
    weights.scatter_add_(1, first[:, None], 1 - late[:, None])
    weights.scatter_add_(1, second[:, None], late[:, None])
    weights = weights.to(like)
    around = [slice(int(first[cut.start]), int(second[cut.stop - 1]) + 1) for cut in cuts]
    return [_Band(cut, near, weights[cut, near]) for cut, near in zip(cuts, around, strict=True)]


def _blocks(
    logits: Tensor, shape: torch.Size, gradient: Tensor | None = None
) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield blocks of rows of the upsampled logits, and bring back what the reader leaves in them.

    Args:
        logits: (B, K, h, w).
        shape: (H, W) of the target.
        gradient: (B, K, h, w), if wanted: receives the blocks through the transposed upsampling.

    Yields:
        The number of the image, its rows, and (R, K, W) logits to overwrite.
    """
    (_, classes, height, width), (rows, columns) = logits.shape, shape
    most = _BLOCK_ON_CPU if logits.device.type == "cpu" else _BLOCK_ELSEWHERE
    row_bands = _bands(height, rows, max(1, most // (classes * columns)), logits)
    column_bands = _bands(width, columns, _COLUMNS, logits)
    narrow = logits.new_empty(height, classes, width)
    wide = logits.new_empty(height, classes, columns)
    slope = torch.empty_like(wide) if gradient is not None else None
    memory = logits.new_empty(row_bands[0].pixels.stop, classes, columns)
    for image, cells in enumerate(logits):
        narrow.copy_(cells.movedim(0, 1))
        for band in column_bands:
            band.interpolate(narrow.flatten(0, 1).T, wide.flatten(0, 1).T[band.pixels])
        if slope is not None:
            slope.zero_()
        for band in row_bands:
            block = memory[: band.pixels.stop - band.pixels.start]
            band.interpolate(wide.flatten(1), block.flatten(1))
            yield image, band.pixels, block
            if slope is not None:
                band.transpose(block.flatten(1), slope.flatten(1))
        if slope is not None and gradient is not None:
            narrow.zero_()
            for band in column_bands:
                band.transpose(slope.flatten(0, 1).T[band.pixels], narrow.flatten(0, 1).T)
            gradient[image] = narrow.movedim(0, 1)


class _FullPrecision:
    """Multiply matrices in float32 proper, for those who allow TF32 or bfloat16 elsewhere.

    Torch has one setting for the whole process. So it is changed when the first thread enters, and
    is what it was when the last one has left.

    Autocast leaves products alone that are written into a given tensor, as all are here.
    """

    def __init__(self) -> None:
        mkldnn = torch.backends.mkldnn
        self._backends = (torch.backends.cuda.matmul, mkldnn.matmul)  # pyright: ignore[reportAttributeAccessIssue]
        self._allowed: list[Any] = []
        self._inside, self._lock = 0, Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._allowed = [backend.fp32_precision for backend in self._backends]
                for backend in self._backends:
                    backend.fp32_precision = "ieee"
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for backend, precision in zip(self._backends, self._allowed, strict=True):
                    backend.fp32_precision = precision


_full_precision = _FullPrecision()
