"""The fastest engine, found while the pictures come: one photograph never waits for a comparison.

The optimized network answers at once. Others take seconds to open, which pays for a folder only.
How many pictures will come is not known, so each is tried when those that came have taken as long
as its trial will: trials cost at most about as much again as all that was done before them.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from atrous.fast.engines.engine import Engine, available, open_engine
from atrous.fast.engines.timings import Timing, recall, remember, timing_key
from atrous.fast.engines.torch_engine import OptimizedEngine
from atrous.models import SegmentationModel

# How many times the patience to wait before each, as they take longer to open.
_RIVALS = {"openvino": 1, "onnxruntime": 4, "compiled": 8}
_PATIENCE = 10.0  # seconds that pictures of one size take before the first of the others is tried
_ROUNDS = 3
_GAIN = 1.1  # times as fast as the optimized network; less is noise
_CLOSE = 1e-3  # of the largest logit, between float32 engines
_EQUAL = 0.9  # of the cells have the same class, between bfloat16 engines


@dataclass
class _Size:
    """Pictures of one size.

    Attributes:
        engine: What computes them now.
        known: What an earlier process found, until it pays to follow it.
        seconds: What a picture took in each engine that was tried.
        failed: Engines that need not be tried again either.
        spent: Seconds that all of them took.
    """

    engine: Engine
    known: Timing | None
    seconds: dict[str, float]
    failed: set[str] = field(default_factory=set)
    spent: float = 0.0


class AutomaticEngine:
    """The optimized network; later on, for pictures of a size that is frequent, a faster engine.

    An engine that fails, or computes something else, is not asked again.

    Args:
        model: The network; a copy is made of it.
        device: Where to compute.
        precision: `fp32` or `bf16`.
        cache: File to keep timings in; None keeps none.
        patience: Seconds that pictures of one size take before other engines are tried.
    """

    def __init__(
        self,
        model: SegmentationModel,
        *,
        device: torch.device,
        precision: str = "fp32",
        cache: Path | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._first = OptimizedEngine(model, device=device, precision=precision)
        self.model, self.precision = self._first.model, self._first.precision
        # What others can be made of; in float32 that needs no second set of weights.
        self._source = self.model if self.precision == "fp32" else model
        self._cache, self._patience = cache, patience
        is_free = self.model is not model or self.model.is_general
        installed = available(device, self.precision) if is_free else ()
        self._rivals = {
            name: patience * factor for name, factor in _RIVALS.items() if name in installed
        }
        self._opened: dict[str, Engine] = {self._first.name: self._first}
        self._opening = {self._first.name: 0.0}  # seconds until the first picture was done
        self._sizes: dict[tuple[int, ...], _Size] = {}
        self._last: Engine = self._first

    @property
    def name(self) -> str:
        """The engine that computed the last picture."""
        return self._last.name

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        size = self._size(tuple(images.shape[:3]))
        if size.spent:  # not the only picture
            self._take_known(size)
            self._try_rivals(images, size)
        started = time.perf_counter()
        logits = self._computed(images, size)
        size.spent += time.perf_counter() - started
        self._last = size.engine
        return logits

    def _size(self, shape: tuple[int, ...]) -> _Size:
        if shape not in self._sizes:
            known = recall(self._cache, self._key(shape)) if self._rivals else None
            self._sizes[shape] = _Size(self._first, known, dict(known.seconds) if known else {})
        return self._sizes[shape]

    def _computed(self, images: Tensor, size: _Size) -> Tensor:
        """Let the size's engine compute; the optimized network where that fails."""
        if size.engine is not self._first:
            try:
                return size.engine(images)
            except Exception:  # engines have kinds of their own, which share no base
                self._give_up(size.engine.name)
        return self._first(images)

    def _take_known(self, size: _Size) -> None:
        """Change over to what was found before, when it pays for the seconds until it is open."""
        if size.known is None or size.spent < size.known.opening:
            return
        try:
            size.engine = self._open(size.known.engine)
        except Exception:
            self._give_up(size.known.engine)
        size.known = None

    def _try_rivals(self, images: Tensor, size: _Size) -> None:
        """Let the engines whose time has come race those that were tried."""
        due = [
            name
            for name, patience in self._rivals.items()
            if name not in size.seconds | dict.fromkeys(size.failed) and size.spent >= patience
        ]
        if not due or size.known is not None:
            return
        expected = self._first(images)
        able = [name for name in due if self._agrees(name, images, expected)]
        size.failed.update(set(due) - set(able))
        size.seconds |= self._race(images, {self._first.name, size.engine.name, *able})
        best = min(
            size.seconds, key=lambda name: size.seconds[name] * (_GAIN if name in _RIVALS else 1)
        )
        size.engine = self._opened[best]
        timing = Timing(best, self._opening[best], size.seconds)
        remember(self._cache, self._key(tuple(images.shape[:3])), timing)

    def _agrees(self, name: str, images: Tensor, expected: Tensor) -> bool:
        """Open an engine, and return whether it computes what the optimized network does."""
        started = time.perf_counter()
        try:
            found = self._open(name)(images)
        except Exception:
            self._give_up(name)
            return False
        took = time.perf_counter() - started
        self._opening[name] = max(took, self._opening.get(name, 0.0))
        return self._is_alike(found, expected)

    def _race(self, images: Tensor, names: set[str]) -> dict[str, float]:
        """Return what a picture takes in each of some engines."""
        seconds = dict.fromkeys(sorted(names), float("inf"))
        for _ in range(_ROUNDS):
            for name in seconds:
                started = time.perf_counter()
                self._opened[name](images)
                seconds[name] = min(seconds[name], time.perf_counter() - started)
        return seconds

    def _open(self, name: str) -> Engine:
        if name not in self._opened:
            self._opened[name] = open_engine(
                name, self._source, device=self._first.device, precision=self.precision
            )
        return self._opened[name]

    def _give_up(self, name: str) -> None:
        """Ask an engine no more, at any size."""
        self._rivals.pop(name, None)
        for size in self._sizes.values():
            if size.engine.name == name:
                size.engine = self._first

    def _is_alike(self, logits: Tensor, expected: Tensor) -> bool:
        if logits.shape != expected.shape or not bool(logits.isfinite().all()):
            return False
        if self.precision != "fp32":
            return bool((logits.argmax(1) == expected.argmax(1)).float().mean() >= _EQUAL)
        return bool((logits - expected).abs().max() <= _CLOSE * expected.abs().max())

    def _key(self, shape: tuple[int, ...]) -> str:
        return timing_key(self.model, shape=shape, precision=self.precision)
