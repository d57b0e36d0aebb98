"""Semantic segmentation with the DeepLab family.

    import atrous

    result = atrous.Segmenter("camvid-lite0")("street.jpg")
    result.overlay().save("overlay.png")

Names are imported when they are first used, so that `import atrous` itself is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous import data as data
    from atrous import losses as losses
    from atrous import metrics as metrics
    from atrous import nn as nn
    from atrous.fast import optimize as optimize
    from atrous.kernels.label_map import label_map as label_map
    from atrous.models import create_model as create_model
    from atrous.predict import Segmentation as Segmentation
    from atrous.predict import Segmenter as Segmenter
    from atrous.weights import convert as convert
    from atrous.weights import load_model as load_model
    from atrous.weights import save_model as save_model

__version__ = "0.1.0"

_ROOMS = ("data", "losses", "metrics", "nn")
_HOMES = {
    "Segmentation": "atrous.predict",
    "Segmenter": "atrous.predict",
    "convert": "atrous.weights",
    "create_model": "atrous.models",
    "label_map": "atrous.kernels.label_map",
    "load_model": "atrous.weights",
    "optimize": "atrous.fast",
    "save_model": "atrous.weights",
}
__all__ = [
    "Segmentation",
    "Segmenter",
    "__version__",
    "convert",
    "create_model",
    "data",
    "label_map",
    "load_model",
    "losses",
    "metrics",
    "nn",
    "optimize",
    "save_model",
]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"atrous.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'atrous' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
