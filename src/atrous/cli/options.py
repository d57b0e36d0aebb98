"""Options that several commands share, described once."""

from typing import Annotated

from tyro.conf import arg

Model = Annotated[
    str, arg(metavar="NAME|FILE", help="A model that `atrous models` lists, or a model file.")
]
ModelOrExport = Annotated[
    str,
    arg(
        metavar="NAME|FILE",
        help="A model that `atrous models` lists, a model file, or an .onnx or .xml file that "
        "`atrous export` wrote.",
    ),
]
Data = Annotated[
    str,
    arg(
        metavar="DIR|NAME=DIR",
        help="Folder with images/ and masks/ or in a standard layout (NAME=DIR forces one: voc, "
        "cityscapes, ade20k, ...), or the made-up set 'shapes'.",
    ),
]
Classes = Annotated[
    tuple[str, ...],
    arg(
        metavar="CLASS...",
        help="Classes of a folder without dataset.yaml: NAME, NAME=VALUE or NAME=VALUE#RRGGBB.",
        help_behavior_hint="(default: those of dataset.yaml)",
    ),
]
Ignore = Annotated[
    tuple[int, ...],
    arg(
        metavar="VALUE...",
        help="Mask values that belong to no class.",
        help_behavior_hint="(default: those of dataset.yaml)",
    ),
]
Device = Annotated[str, arg(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
Engine = Annotated[
    str,
    arg(metavar="NAME", help="auto, torch, optimized, compiled, onnxruntime or openvino."),
]
Precision = Annotated[
    str, arg(metavar="NAME", help="fp32, or bf16: faster on some processors, and not exact.")
]
OutputStride = Annotated[
    int | None,
    arg(
        metavar="PIXELS",
        help="Image pixels per cell of the deepest map: 4, 8, 16 or 32.",
        help_behavior_hint="(default: as it was trained)",
    ),
]
Flag = Annotated[bool, arg(help_behavior_hint="")]
