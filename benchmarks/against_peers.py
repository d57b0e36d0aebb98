"""torchvision's networks beside the same weights in atrous: plain, optimized, and in bfloat16.

Coarse logits of one image of 513x513, without bringing them to its size, for all alike.
`python -m benchmarks.against_peers --compile` adds both compiled.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # other work on the machine weighs less then

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import segmentation

from atrous.fast import optimize
from atrous.weights import convert
from benchmarks.interleaved import compare, publish

NAMES = ("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50")
ROUNDS = 5


def _peer(name: str) -> nn.Module:
    """Return torchvision's network; its norms get statistics, so that nothing is trivial."""
    torch.manual_seed(0)
    network = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def _ways(peer: nn.Module, images: Tensor, *, compiled: bool) -> dict[str, Callable[[], object]]:
    model, _ = convert(peer)
    models = {
        "atrous": model,
        "optimize": optimize(model),
        "optimize, size": optimize(model, size=(513, 513)),
        "optimize, bf16": optimize(model, precision="bf16"),
    }

    def theirs(images: Tensor) -> Tensor:
        return peer.classifier(peer.backbone(images)["out"])

    ways: dict[str, Callable[[], object]] = {"torchvision eager": lambda: theirs(images)}
    if compiled:
        models["optimize, bf16, compile"] = optimize(model, precision="bf16", compile=True)
        program = torch.compile(theirs, options={"freezing": True})
        ways["torchvision compile"] = lambda: program(images)
    for name, network in models.items():
        ways[name] = lambda network=network: network.coarse_logits(images)
    return ways


@torch.no_grad()
def main() -> None:
    """Time the ways in turn, network by network, and publish the table."""
    torch.set_num_threads(2)
    images = torch.randn(1, 3, 513, 513)
    table = {}
    for name in NAMES:
        ways = _ways(_peer(name), images, compiled="--compile" in sys.argv)
        rows = compare(ways, rounds=ROUNDS)
        table |= {f"{name}: {way}": row for way, row in rows.items()}
    title = "torchvision's weights, 1 x 3 x 513 x 513, ratios to torchvision eager of that network"
    publish("against_peers", title, table)


if __name__ == "__main__":
    main()
