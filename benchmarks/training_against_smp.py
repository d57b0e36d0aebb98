"""A training step of atrous beside a plain torch loop over segmentation_models_pytorch.

DeepLab v3+ on ResNet-50, separable, output stride 16, 4 images of 256x256, on the CPU. atrous takes
the step of `atrous train`, with its loss, its optimiser and its checks; the plain loop is what one
writes with the other library: normalise, forward, cross-entropy on full-size labels, backward,
AdamW. Both train one network: that of the other library, which atrous converts; its own has five
batch norms more, between the halves of separable convolutions, as in the paper's code. Each is
timed in float32 and in bfloat16 autocast, and compared with the other one in the same format.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous train` does

import tempfile
from collections.abc import Callable
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous import convert, save_model
from atrous.bench.interleaved import race, ratios
from atrous.data import ShapesDataset
from atrous.devices import has_fast_bf16
from atrous.recipe import load_recipe
from atrous.train.loop import Training
from atrous.train.progress import SilentProgress
from benchmarks.interleaved import publish

_BATCH, _SIDE = 4, 256
_RECIPE = (
    *("data.source=shapes", "model.pretrained_backbone=false"),
    *(f"data.size=[{_SIDE}, {_SIDE}]", f"data.crop_size=[{_SIDE}, {_SIDE}]"),
    *(f"train.batch_size={_BATCH}", "train.max_steps=100000", "train.device=cpu"),
    *("optim.name=adamw", "optim.warmup_steps=0"),
)
Step = Callable[[], None]


def _theirs(classes: int) -> nn.Module:
    return smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=classes)


def _plain(classes: int, batch: tuple[Tensor, Tensor], *, bf16: bool, channels_last: bool) -> Step:
    """Return the step that one writes first with the other library."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = _theirs(classes).train().to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def step() -> None:
        images = (batch[0].float() / 255 - mean) / deviation
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(images.to(memory_format=layout))
            loss = F.cross_entropy(logits, batch[1].long(), ignore_index=255)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _ours(folder: Path, precision: str) -> tuple[Training, Callable[[tuple[Tensor, Tensor]], None]]:
    settings = (f"train.weights={folder / 'theirs.safetensors'}", f"train.precision={precision}")
    recipe = load_recipe("default", [*_RECIPE, *settings])
    training = Training(recipe, folder, SilentProgress())
    training.set_up()
    return training, lambda batch: training.take_step([batch])


def ways(folder: Path) -> dict[str, dict[str, Step]]:
    """Return the ways by number format, the other library's first."""
    names = ShapesDataset.classes
    model, _ = convert(_theirs(len(names)), classes=names, palette=ShapesDataset.palette)
    save_model(model, folder / "theirs.safetensors")
    _, float32 = _ours(folder, "fp32")
    classes = len(names)
    images = torch.randint(0, 256, (_BATCH, 3, _SIDE, _SIDE), dtype=torch.uint8)
    batch = images, torch.randint(0, classes, (_BATCH, _SIDE, _SIDE), dtype=torch.uint8)
    smp_name = "segmentation_models_pytorch"
    compared = {
        "float32": {
            f"{smp_name}, float32": _plain(classes, batch, bf16=False, channels_last=False),
            f"{smp_name}, float32, channels_last": _plain(
                classes, batch, bf16=False, channels_last=True
            ),
            "atrous, float32": lambda: float32(batch),
        }
    }
    if has_fast_bf16(torch.device("cpu")):
        _, bfloat16 = _ours(folder, "bf16")
        compared["bfloat16"] = {
            f"{smp_name}, bfloat16, channels_last": _plain(
                classes, batch, bf16=True, channels_last=True
            ),
            "atrous, bfloat16": lambda: bfloat16(batch),
        }
    return compared


def main() -> None:
    """Time all ways in turn, and publish the ratios to the other library in the same format."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        compared = ways(Path(folder))
        steps = {name: step for group in compared.values() for name, step in group.items()}
        for step in steps.values():
            step()  # the first one allocates
        times = race(steps, rounds=7)
    table = {}
    for group in compared.values():
        table |= ratios({name: times[name] for name in group})
    title = f"training step of DeepLab v3+ on ResNet-50, {_BATCH} x {_SIDE} x {_SIDE}"
    publish("training_against_smp", title, table)


if __name__ == "__main__":
    main()
