"""The card of a model: Markdown from the facts in its file, with a header that the hub reads."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from atrous.weights.model_file import ModelFacts

_LICENSE_ID = re.compile(r"[a-z]+[a-z0-9]*(?:-[a-z0-9.]+)+|mit|unlicense", re.IGNORECASE)
_MARKUP = re.compile(r"[\\|*_`\[\]]")


def model_card(facts: ModelFacts, source: str, *, megabytes: float) -> str:
    """Return the card of a model file that is to be had as `source`.

    Args:
        facts: What the file says of itself.
        source: What `load_model` takes, such as `hf:owner/name`.
        megabytes: Size of the file.
    """
    model = facts.model
    training = "\n".join(_listed(facts.training)) or "- The file does not say."
    return f"""---
{_header(facts)}
---

# {_plain(facts.training.get("name") or source.rpartition("/")[2])}

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


def _header(facts: ModelFacts) -> str:
    """Return the lines of YAML between the dashes; the hub knows licences by their SPDX names."""
    name = facts.license.strip().lower()
    is_known = _LICENSE_ID.fullmatch(name) is not None
    lines = ["library_name: atrous", "pipeline_tag: image-segmentation"]
    if name:
        lines.append(f"license: {name if is_known else 'other'}")
    return "\n".join([*lines, "tags: [semantic-segmentation, deeplab]"])


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
