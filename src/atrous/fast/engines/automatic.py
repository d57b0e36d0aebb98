"""The fastest engine, found while the pictures come: one photograph never waits for a comparison.

The optimized network answers at once. Others take seconds to open, which pays for a folder only.
How many pictures will come is not known, so they are tried when those that came have taken as long
as the trial will: it costs at most about as much again as all that was done before it.
"""

import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from atrous.errors import AtrousError
from atrous.fast.engines.engine import Engine, available, open_engine
from atrous.fast.engines.timings import Timing, recall, remember, timing_key
from atrous.fast.engines.torch_engine import OptimizedEngine
from atrous.models import SegmentationModel

# Those that open in seconds; `compiled` and `onnxruntime` take some 20, and are asked for by name.
_RIVALS = ("openvino",)
_PATIENCE = 10.0  # seconds that pictures of one size take before the others are tried
_ROUNDS = 3
_GAIN = 1.1  # times as fast as the optimized network; less is noise
_CLOSE = 1e-3  # of the largest logit, between float32 engines


class AutomaticEngine:
    """The optimized network; later on, for pictures of a size that is frequent, a faster engine.

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
        is_free = self.model is not model or (self.precision, self.model.largest) == ("fp32", None)
        installed = available(device, self.precision) if is_free else ()
        self._rivals = [name for name in _RIVALS if name in installed]
        self._opened: dict[str, Engine] = {self._first.name: self._first}
        self._chosen: dict[tuple[int, ...], Engine] = {}
        self._spent: defaultdict[tuple[int, ...], float] = defaultdict(float)
        self._last: Engine = self._first

    @property
    def name(self) -> str:
        """The engine that computed the last picture."""
        return self._last.name

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        shape = tuple(images.shape[:3])
        if self._rivals and shape not in self._chosen and self._is_time(shape):
            self._chosen[shape] = self._choose(images)
        self._last = self._chosen.get(shape, self._first)
        started = time.perf_counter()
        logits = self._last(images)
        self._spent[shape] += time.perf_counter() - started
        return logits

    def _is_time(self, shape: tuple[int, ...]) -> bool:
        """Return whether pictures of this size have taken as long as to open the best engine."""
        if not self._spent[shape]:
            return False
        known = recall(self._cache, self._key(shape))
        return self._spent[shape] >= (self._patience if known is None else known.opening)

    def _choose(self, images: Tensor) -> Engine:
        shape = tuple(images.shape[:3])
        known = recall(self._cache, self._key(shape))
        if known is None:
            known = self._compare(images)
            remember(self._cache, self._key(shape), known)
        return self._open(known.engine) or self._first

    def _compare(self, images: Tensor) -> Timing:
        """Open the rivals, and let those that agree with the optimized network race it."""
        expected, opening = self._first(images), {self._first.name: 0.0}
        for name in self._rivals:
            started = time.perf_counter()
            rival = self._open(name)
            if rival is not None and self._agree(rival(images), expected):
                opening[name] = time.perf_counter() - started
        seconds = dict.fromkeys(opening, float("inf"))
        for _ in range(_ROUNDS):
            for name in seconds:
                started = time.perf_counter()
                self._opened[name](images)
                seconds[name] = min(seconds[name], time.perf_counter() - started)
        best = min(seconds, key=lambda name: seconds[name] * (_GAIN if name in _RIVALS else 1))
        return Timing(best, opening[best], seconds)

    def _open(self, name: str) -> Engine | None:
        """Return an engine; None where it does not take this network."""
        if name not in self._opened:
            try:
                self._opened[name] = open_engine(
                    name, self._source, device=self._first.device, precision=self.precision
                )
            except (AtrousError, RuntimeError):
                return None
        return self._opened[name]

    def _agree(self, logits: Tensor, expected: Tensor) -> bool:
        if self.precision != "fp32":
            return True
        return bool((logits - expected).abs().max() <= _CLOSE * expected.abs().max())

    def _key(self, shape: tuple[int, ...]) -> str:
        return timing_key(self.model, shape=shape, precision=self.precision)
