"""`atrous convert`: other libraries' checkpoints in, a model file out; and the way back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from atrous.cli.console import plain, results
from atrous.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Read another library's checkpoint, check that it computes the same, and write a model file.

    Example: atrous convert deeplabv3_resnet50_coco.pth --out model.safetensors
    """

    source: Positional[
        Annotated[
            str,
            arg(metavar="SRC", help="A checkpoint (.pth, .safetensors, …); with --to, a model."),
        ]
    ]
    out: Annotated[Path, arg(metavar="FILE", help="What to write: a .safetensors.")]
    backbone: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help="The library's name for it, where weights do not tell, such as resnet34.",
            help_behavior_hint="",
        ),
    ] = None
    output_stride: Annotated[
        int | None,
        arg(
            metavar="PIXELS",
            help="Image pixels per cell of the deepest map.",
            help_behavior_hint="(default: the library's)",
        ),
    ] = None
    rates: Annotated[
        tuple[int, ...],
        arg(
            metavar="RATE...",
            help="Rates of the pyramid, in cells.",
            help_behavior_hint="(default: the library's)",
        ),
    ] = ()
    classes: Annotated[
        tuple[str, ...],
        arg(
            metavar="CLASS...",
            help="Names of the classes, in the order of the logits.",
            help_behavior_hint="(default: those of the checkpoint)",
        ),
    ] = ()
    to: Annotated[
        str | None,
        arg(
            metavar="LIBRARY",
            help="Write a state dict (.safetensors or .pth) for torchvision or smp instead.",
            help_behavior_hint="",
        ),
    ] = None

    def run(self) -> None:
        """Convert, and say what was found."""
        if self.to is None:
            self._read()
        else:
            self._write_for(self.to)

    def _read(self) -> None:
        from atrous.weights import convert, save_model

        if self.out.suffix != ".safetensors":
            raise UsageError(f"{self.out}: a model file ends in .safetensors")
        model, report = convert(
            self.source,
            backbone=self.backbone,
            output_stride=self.output_stride,
            rates=self.rates or None,
            classes=self.classes or None,
        )
        save_model(model, self.out, training={"converted": report.to_json()})
        console = results()
        for line in str(report).splitlines():
            console.print(plain(line), soft_wrap=True)
        console.print(f"\nwrote {plain(self.out)}", soft_wrap=True)

    def _write_for(self, library: str) -> None:
        from atrous.weights import load_model
        from atrous.weights.to_peer import to_peer, write_state

        for option in ("backbone", "output_stride", "rates", "classes"):
            if getattr(self, option):
                name = option.replace("_", "-")
                raise UsageError(f"--{name} is of no use with --to: {self.source} has its own")
        state = to_peer(load_model(self.source), library)
        written = write_state(state, self.out)
        results().print(
            f"wrote {plain(written)}: {len(state)} tensors for {library}", soft_wrap=True
        )
