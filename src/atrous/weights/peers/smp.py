"""segmentation_models_pytorch's `DeepLabV3` and `DeepLabV3Plus`: names and settings.

All stages behind a lost stride are dilated, their first blocks too; only in its `tu-` encoders timm
does this, which keeps their rates. Logits and the decoder's map are resized with aligned corners; a
separable convolution has nothing between its halves; v3 has one 3x3 convolution behind the pyramid,
and v3+ one there and one, not two, in the decoder. Rates are (12, 24, 36) at any output stride
unless told otherwise: a checkpoint does not say which.
"""

from collections.abc import Mapping

from torch import Tensor

from atrous.models import Conventions
from atrous.weights.peers.names import NO_HINTS, Converted, Hints, aspp_names, rename
from atrous.weights.peers.smp_encoders import Encoder, check_against_timm, find_encoder

RATES = (12, 24, 36)
CONVENTIONS = Conventions(
    align_corners=True,
    dilate_first_block=True,
    between="nothing",
    head_convs=1,
    decoder_convs=1,
)
State = Mapping[str, Tensor]

# The names of the v3 head, and of what follows it, by the prefix of its ASPP. The last is that of
# releases before 0.4.
_HEADS = {
    "decoder.aspp.0": {
        "decoder.aspp.1.0": "head.0.0",
        "decoder.aspp.1.1": "head.0.1",
        "decoder.aspp.2": "head.0.2",
        "decoder.block1": "decoder.reduce",
        "decoder.block2.0.0": "decoder.refine.0.0",
        "decoder.block2.0.1": "decoder.refine.0.1",
        "decoder.block2.1": "decoder.refine.0.2",
    },
    "decoder.aspp": {"decoder.conv": "head.0.0", "decoder.bn": "head.0.1"},
    "decoder.0": {"decoder.1": "head.0.0", "decoder.2": "head.0.1"},
}


def recognises(state: State) -> bool:
    """Return whether these are tensors of segmentation_models_pytorch's DeepLab."""
    return _find_aspp(state) is not None and any(key.startswith("encoder.") for key in state)


def convert(state: State, hints: Hints = NO_HINTS) -> Converted:
    """Return a checkpoint of segmentation_models_pytorch in the words of atrous.

    Args:
        state: Its tensors.
        hints: `encoder_name`, needed for the `tu-` encoders alone; `encoder_output_stride`, by
            default 8 in v3 and 16 in v3+; and `decoder_atrous_rates`.

    Raises:
        DataError: The encoder is not known or dilated in a way of its own, or a tensor has no place
            in the network.
    """
    aspp = _find_aspp(state) or ""
    is_plus = aspp == "decoder.aspp.0"
    separable = f"{aspp}.convs.1.0.1.weight" in state
    encoder = find_encoder(state, hints.backbone)
    names = {
        **{f"encoder.{key}": f"backbone.{name}" for key, name in encoder.names.items()},
        **aspp_names(aspp, "pyramid", num_rates=len(RATES)),
        **(_separable_names(aspp) if separable else {}),
        **_HEADS[aspp],
        "segmentation_head.0": "classifier",
    }
    keywords = {
        "architecture": "deeplabv3plus" if is_plus else "deeplabv3",
        "backbone": encoder.backbone,
        "num_classes": state["segmentation_head.0.weight"].shape[0],
        "output_stride": hints.output_stride or (16 if is_plus else 8),
        "rates": hints.rates or RATES,
        "separable": separable,
        "separable_decoder": is_plus,
        "channels": state[f"{aspp}.project.0.weight"].shape[0],
        "dropout": 0.5,
        "in_channels": state[f"encoder.{encoder.stem}.weight"].shape[1],
        "conventions": CONVENTIONS.model_copy(update=dict(encoder.conventions)),
    }
    if encoder.is_timms:
        check_against_timm(state, keywords)
    dropped = {
        key: why
        for key in state
        for prefix, why in _dropped_prefixes(encoder)
        if key.startswith(prefix)
    }
    kept = {key: tensor for key, tensor in state.items() if key not in dropped}
    return Converted(keywords, rename(kept, names), dropped, encoder.preprocessing)


def _find_aspp(state: State) -> str | None:
    return next((aspp for aspp in _HEADS if f"{aspp}.convs.0.0.weight" in state), None)


def _separable_names(aspp: str) -> dict[str, str]:
    """Return the names of the rates where both halves stand in a sequence of their own."""
    parts = {"0.0": "0", "0.1": "1", "1": "2"}
    return {
        f"{aspp}.convs.{k + 1}.{theirs}": f"pyramid.atrous.{k}.{ours}"
        for k in range(len(RATES))
        for theirs, ours in parts.items()
    }


def _dropped_prefixes(encoder: Encoder) -> list[tuple[str, str]]:
    unread = "it lies behind the map that DeepLab reads"
    return [
        ("classification_head.", "it classifies whole images"),
        *((f"encoder.{layer}.", unread) for layer in encoder.unread),
    ]
