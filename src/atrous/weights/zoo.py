"""The models that have a name, and their cards."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from atrous.errors import UsageError
from atrous.models import SegmentationModel
from atrous.weights import hub, published
from atrous.weights.model_card import model_card
from atrous.weights.model_file import ModelFacts, read_facts, read_model

_EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class Entry:
    """A model that can be loaded by its name.

    Attributes:
        name: What `load_model` and `--model` take.
        file: Its model file.
        facts: What the file says of itself.
    """

    name: str
    file: Path
    facts: ModelFacts

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.file.stat().st_size

    @property
    def summary(self) -> str:
        """Architecture, backbone and output stride in one line."""
        model = self.facts.model
        return (
            f"{model.architecture}, {model.backbone}, output stride {model.output_stride}, "
            f"{model.num_classes} classes"
        )


def available() -> list[Entry]:
    """Return the models that come with atrous."""
    files = sorted(_EMBEDDED.glob("*.safetensors"))
    return [Entry(file.stem, file, read_facts(file)) for file in files]


def find(name: str) -> Entry:
    """Return the entry called `name` among those that come with atrous.

    Raises:
        UsageError: There is none; the message names the nearest of all that have a name.
    """
    entries = {entry.name: entry for entry in available()}
    if name not in entries:
        near = difflib.get_close_matches(name, [*entries, *published.NAMES], n=1)
        hint = f"did you mean {near[0]}?" if near else "'atrous models' lists those that are"
        raise UsageError(f"model {name!r} is neither a file nor a known name; {hint}")
    return entries[name]


def facts_of(source: str | Path) -> ModelFacts | None:
    """Return what a model file, or a model that comes with atrous, says of itself.

    Args:
        source: A model file, or a name; of models that would have to be downloaded nothing is
            known here, and None comes back.

    Raises:
        DataError: The file is no model file.

    Example:
        >>> facts_of("camvid-lite0").training["train_split"]
        'train+val'
    """
    if Path(source).is_file():
        return read_facts(source)
    return next((entry.facts for entry in available() if entry.name == str(source)), None)


def load_model(source: str | Path) -> SegmentationModel:
    """Return a model in eval mode, by its name or from its file.

    Args:
        source: A `.safetensors` file that atrous wrote; a name that `atrous models` lists, whose
            weights are downloaded the first time if they do not come with atrous; or
            `hf:owner/name`, with `@revision` if need be, on the Hugging Face hub.

    Raises:
        UsageError: No model has this name.
        DataError: The file is missing, is no model file, or was altered; or a download failed.
        ResourceError: The disk is full.

    Example:
        >>> load_model("camvid-lite0").classes[:3]
        ('Sky', 'Building', 'Pole')
    """
    text = str(source)
    if text.startswith(hub.PREFIX) and not isinstance(source, Path):
        return hub.load_from_hub(text)
    if isinstance(source, Path) or text.endswith(".safetensors") or Path(text).is_file():
        return read_model(source)
    if text in published.NAMES:
        return published.load_published(text)
    return read_model(find(text).file)


def card(name: str) -> str:
    """Return the model card of `name`: Markdown, with the figures that the model file states.

    Args:
        name: A name that `atrous models` lists, a model file, or a run directory, whose best
            weights count.

    Raises:
        UsageError: No model has this name.
        DataError: The file is missing, or is no model file.
    """
    if Path(name).is_dir() or name.endswith(".safetensors"):
        file = hub.file_of(name)
        facts = read_facts(file)
        label = str(facts.training.get("name") or Path(name).resolve().name)
        facts = facts.model_copy(update={"training": {"name": label, **facts.training}})
        return model_card(facts, file.as_posix(), megabytes=file.stat().st_size / 1e6)
    if name in published.NAMES:
        return published.card(published.published(name))
    entry = find(name)
    facts = entry.facts
    prose = entry.file.with_suffix(".md").read_text(encoding="utf-8")
    fields = {
        "classes": ", ".join(facts.classes),
        "summary": entry.summary,
        "megabytes": f"{entry.bytes / 1e6:.1f}",
        "license": facts.license,
        "sha256": facts.sha256,
        **{key: _shown(key, value) for key, value in facts.training.items()},
    }
    for key, value in fields.items():
        prose = prose.replace(f"{{{key}}}", value)
    return prose


def _shown(key: str, value: object) -> str:
    if value is None:
        return "n/a"
    if not isinstance(value, float):
        return str(value)
    return f"{100 * value:.2f} %" if key.endswith(("iou", "accuracy")) else str(round(value, 4))
