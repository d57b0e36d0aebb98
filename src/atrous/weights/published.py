"""Public weights that have a name here: where they are, how good they are, and how to get them.

Address, size, classes and scores are those that torchvision states of its own weights.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from atrous.errors import DataError
from atrous.models import SegmentationModel
from atrous.weights.conversion import convert
from atrous.weights.download import cache_folder, download, to_stderr
from atrous.weights.model_file import read_model, save_model

_LIBRARY = "torchvision/"
NAMES = tuple(
    _LIBRARY + network
    for network in (
        "deeplabv3_resnet50",
        "deeplabv3_resnet101",
        "deeplabv3_mobilenet_v3_large",
        "lraspp_mobilenet_v3_large",
    )
)
"""What `load_model` takes; nothing is downloaded before."""


@dataclass(frozen=True)
class Published:
    """Weights that somebody else publishes.

    Attributes:
        name: What `load_model` and `--model` take.
        url: Where they are.
        bytes: How large they are.
        classes: Names of the classes, in the order of the logits.
        mean_iou: The published score, 0 to 1.
        measured_on: The images that it was measured on.
        license: What is known of it.
    """

    name: str
    url: str
    bytes: int
    classes: tuple[str, ...]
    mean_iou: float
    measured_on: str
    license: str

    @property
    def sha256(self) -> str:
        """What the SHA-256 begins with: the part of it that the publisher puts into file names."""
        return PurePosixPath(urlsplit(self.url).path).stem.rpartition("-")[2]

    @property
    def summary(self) -> str:
        """Architecture, backbone and classes in one line."""
        architecture, _, backbone = self.name.removeprefix(_LIBRARY).partition("_")
        return f"{architecture}, {backbone}, {len(self.classes)} classes"

    @property
    def file(self) -> Path:
        """Where the download is kept."""
        return cache_folder() / "torchvision" / PurePosixPath(urlsplit(self.url).path).name

    @property
    def converted(self) -> Path:
        """Where the model file made of it is kept."""
        return self.file.with_suffix(".safetensors")


def published(name: str) -> Published:
    """Return what is known of the weights called `name`, one of `NAMES`, without downloading them.

    Example:
        >>> weights = published("torchvision/deeplabv3_resnet50")
        >>> weights.summary, weights.sha256, weights.mean_iou
        ('deeplabv3, resnet50, 21 classes', 'cd0a2569', 0.664)
    """
    from torchvision.models import get_model_weights

    weights = next(iter(get_model_weights(name.removeprefix(_LIBRARY)))).value
    measured_on, scores = next(iter(weights.meta["_metrics"].items()))
    return Published(
        name,
        weights.url,
        bytes=round(weights.meta["_file_size"] * 2**20),
        classes=tuple(weights.meta["categories"]),
        mean_iou=round(scores["miou"] / 100, 6),
        measured_on=measured_on,
        license=_license(),
    )


def load_published(
    name: str, *, say: Callable[[str], object] = to_stderr, entry: Published | None = None
) -> SegmentationModel:
    """Return the model called `name` in eval mode; the first time, download and convert it.

    Args:
        name: One of `NAMES`.
        say: Told in one line what is downloaded, and how large it is.
        entry: What is known of the weights; by default what `published` finds.

    Raises:
        DataError: It cannot be downloaded, or is not what was published.
        ResourceError: The disk is full.
    """
    entry = entry or published(name)
    if entry.converted.is_file():
        with suppress(DataError):  # damaged, or of another version: it is made anew
            return read_model(entry.converted)
    file = download(entry.url, entry.file, sha256=entry.sha256, size=entry.bytes, say=say)
    model, report = convert(file, classes=entry.classes)
    facts = {
        "name": name,
        "published": {"mean_iou": entry.mean_iou, "measured_on": entry.measured_on},
        "converted": report.to_json(),
    }
    save_model(model, entry.converted, training=facts, license=entry.license)
    return model


def card(entry: Published) -> str:
    """Return what is known of published weights as Markdown."""
    return f"""# {entry.name}

{entry.summary}; {entry.bytes / 1e6:.1f} MB, downloaded when first used.

- address: {entry.url}
- SHA-256: begins with {entry.sha256}; the publisher gives no more, and no more is checked
- published score: mIoU {100 * entry.mean_iou:.1f} % on {entry.measured_on}
- classes: {", ".join(entry.classes)}
- licence: {entry.license}
- kept in: {entry.converted}
"""


def _license() -> str:
    facts = metadata("torchvision").json
    own = facts.get("license_expression") or facts.get("license") or "unknown"
    return f"{own}, as torchvision; terms of the data that they were trained on may hold as well"
