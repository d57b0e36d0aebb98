"""The card of a model: Markdown from the facts in its file, with a header that the hub reads."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from atrous.weights.model_file import ModelFacts

_LICENSE_ID = re.compile(r"[a-z]+[a-z0-9]*(?:-[a-z0-9.]+)+|mit|unlicense", re.IGNORECASE)
_DATASET_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)
_METRICS = {  # by the facts of a training: the hub's type, and what it is called
    "mean_iou": ("mean_iou", "mean IoU"),
    "pixel_accuracy": ("accuracy", "pixel accuracy"),
    "mean_class_accuracy": ("mean_accuracy", "mean class accuracy"),
    "frequency_weighted_iou": ("frequency_weighted_iou", "frequency-weighted IoU"),
}
_LEARNT = "The scores are of images it has learnt from: they say nothing of others."
_MARKUP = re.compile(r"[\\|*_`\[\]]")


def model_card(facts: ModelFacts, source: str, *, megabytes: float) -> str:
    """Return the card of a model file that is to be had as `source`.

    Its header has what the hub reads: licence, tags, data set, and the scores as a `model-index`
    (https://huggingface.co/docs/hub/model-cards).

    Args:
        facts: What the file says of itself.
        source: What `load_model` takes, such as `hf:owner/name`.
        megabytes: Size of the file.
    """
    model = facts.model
    name = str(facts.training.get("name") or source.removesuffix(".safetensors").split("/")[-1])
    training = "\n".join(_listed(facts.training)) or "- The file does not say."
    if scored_what_it_learnt(facts.training):
        training += f"\n\n{_LEARNT}"
    return f"""---
{_header(facts, name)}---

# {_plain(name)}

Semantic segmentation: {model.architecture} on {model.backbone}, output stride \
{model.output_stride}, {model.num_classes} classes; {megabytes:.1f} MB.

## Use

```python
import atrous

segmenter = atrous.Segmenter({json.dumps(source)})
result = segmenter("photo.jpg")
result.overlay().save("overlay.png")
```

## Training and scores

{training}
{_class_table(facts.training.get("class_iou"))}
## Classes

{", ".join(_plain(name) for name in facts.classes)}

## Licence

{_plain(facts.license) or "The file names none."}

SHA-256 of the tensors: `{facts.sha256}`
"""


def scored_what_it_learnt(training: Mapping[str, Any]) -> bool:
    """Return whether the split of a training's scores is also one that it learnt from.

    Example:
        >>> scored_what_it_learnt({"train_split": "train+val", "val_split": "val"})
        True
    """
    learnt, scored = (str(training.get(key, "")) for key in ("train_split", "val_split"))
    return bool({*learnt.split("+")} & {*scored.split("+")} - {""})


def _header(facts: ModelFacts, name: str) -> str:
    """Return the YAML between the dashes; the hub knows licences by their SPDX names."""
    license, training = facts.license.strip().lower(), facts.training
    lines: dict[str, Any] = {"library_name": "atrous", "pipeline_tag": "image-segmentation"}
    if license:
        lines["license"] = license if _LICENSE_ID.fullmatch(license) else "other"
    lines["tags"] = ["semantic-segmentation", "deeplab", facts.model.architecture]
    if _DATASET_ID.fullmatch(dataset := str(training.get("dataset", ""))):
        lines["datasets"] = [dataset]
    metrics = [] if scored_what_it_learnt(training) else list(_metrics(training))
    if metrics:
        result = {
            "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
            "dataset": _dataset(dataset, str(training.get("val_split", "val"))),
            "metrics": metrics,
        }
        lines["model-index"] = [{"name": " ".join(name.split()), "results": [result]}]
    return yaml.safe_dump(lines, sort_keys=False, allow_unicode=True)


def _dataset(name: str, split: str) -> dict[str, str]:
    """Return what the scores are of; its type is what the hub sorts by."""
    words = " ".join(name.split()) or "unknown"
    kind = re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-") or "unknown"
    return {"type": kind, "name": words, "split": split}


def _metrics(training: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for fact, (kind, name) in _METRICS.items():
        value = training.get(fact)
        if isinstance(value, float) and math.isfinite(value):
            yield {"type": kind, "value": round(value, 4), "name": name}


def _listed(training: Mapping[str, Any]) -> Iterator[str]:
    for key, value in training.items():
        if key in ("name", "class_iou"):
            continue
        words = key.replace("_", " ").replace("iou", "IoU")
        if key == "converted" and isinstance(value, Mapping):
            origin, verdict = value.get("origin"), value.get("verdict")
            yield f"- converted from {_plain(origin)}: {_plain(verdict)}"
        elif isinstance(value, Mapping):
            inner = (f"{name.replace('_', ' ')} {_figure(name, v)}" for name, v in value.items())
            yield f"- {words}: {', '.join(inner)}"
        elif value is not None:
            yield f"- {words}: {_figure(key, value)}"


def _class_table(scores: Mapping[str, float | None] | None) -> str:
    if not scores:
        return ""
    rows = "\n".join(f"| {_plain(name)} | {_percent(iou)} |" for name, iou in scores.items())
    return f"\n| class | IoU |\n|---|---:|\n{rows}\n"


def _figure(key: str, value: Any) -> str:
    is_share = key.endswith(("iou", "accuracy")) and isinstance(value, float)
    return _percent(value) if is_share else _plain(value)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.2f} %"


def _plain(text: object) -> str:
    """Return a text on one line, with what Markdown or HTML would take for markup escaped."""
    words = " ".join(str(text).split()).replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", words)
