"""Which batch norm reads which convolution, and how large its map is: seen in one pass.

The pass runs on torch's meta device, which computes shapes only.
"""

import copy
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass
class Trace:
    """What one pass over a network showed.

    Attributes:
        pairs: For each batch norm that alone reads what one convolution writes, their names:
            norm to convolution.
        sizes: (rows, columns) of the largest map that each convolution reads, by its name.
    """

    pairs: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


def trace(network: nn.Module, shape: tuple[int, int, int, int]) -> Trace:
    """Return what is seen while `network` reads images of a shape; it stays as it is.

    Args:
        network: A network in eval mode.
        shape: (B, C, H, W) of the images.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
        >>> trace(network, (1, 3, 9, 9))
        Trace(pairs={'1': '0'}, sizes={'0': (9, 9)})
    """
    shadow = copy.deepcopy(network).to("meta")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the images are made up: a word on their size misleads
        watch = _Watch(shadow)
        with watch:
            shadow(torch.empty(shape, device="meta"))
    return watch.result()


class _Watch(TorchDispatchMode):
    """Follow each convolution's result: who reads it, and how often."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._written: list[tuple[str, Tensor]] = []  # held, so that no id comes up twice
        self._writer: dict[int, str] = {}
        self._reads: Counter[int] = Counter()
        self._sources: dict[str, set[str]] = {}
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(self._after_conv(name))
            elif isinstance(module, nn.BatchNorm2d):
                module.register_forward_pre_hook(self._before_norm(name))

    def _after_conv(self, name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            rows, columns = self._sizes.get(name, (0, 0))
            height, width = inputs[0].shape[-2:]
            self._sizes[name] = max(rows, height), max(columns, width)
            self._written.append((name, output))
            self._writer[id(output)] = name
            self._reads[id(output)] = 0  # a tensor that is gone may have had this id

        return note

    def _before_norm(self, name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._sources.setdefault(name, set()).add(self._writer.get(id(inputs[0]), ""))

        return note

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for arg in args:
            tensors = arg if isinstance(arg, (list, tuple)) else (arg,)
            self._reads.update(id(one) for one in tensors if isinstance(one, Tensor))
        return func(*args, **(kwargs or {}))

    def result(self) -> Trace:
        shared = {name for name, output in self._written if self._reads[id(output)] > 1}
        readers = Counter(source for sources in self._sources.values() for source in sources)
        pairs = {}
        for norm, sources in self._sources.items():
            conv = next(iter(sources))
            if len(sources) == 1 and conv and conv not in shared and readers[conv] == 1:
                pairs[norm] = conv
        return Trace(pairs, self._sizes)
