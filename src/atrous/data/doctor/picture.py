"""A contact sheet: some samples, each photo beside its mask in the colours of the classes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atrous.data.doctor.findings import below
from atrous.data.doctor.meaning import UNKNOWN, Meaning
from atrous.data.doctor.survey import ImageFacts, MaskFacts, Survey
from atrous.data.images import read_image, read_mask
from atrous.data.labels import IGNORE_INDEX, LabelScheme
from atrous.data.palettes import Color

_COLUMNS = 3
_CELL = (240, 180)  # px (width, height) that a photo and a mask get each
_GAP, _LINE = 8, 18  # px
_WHITE, _INK, _BLACK = (255, 255, 255), (33, 37, 41), (0, 0, 0)
_STRIKING: Color = (255, 0, 255)  # of pixels of no class

_Pair = tuple[ImageFacts, MaskFacts]


def draw_samples(survey: Survey, scheme: LabelScheme, *, most: int = 12) -> Image.Image:
    """Draw samples from all splits with their masks, and a legend of the classes.

    Ignored pixels are black, those of no class magenta. Pairs with a file that cannot be read, or
    with a mask that has colours where the classes have none, are left out.

    Args:
        survey: Of the folder; the files of the samples are read again.
        scheme: What mask values mean.
        most: How many samples.

    Returns:
        An RGB image.
    """
    meaning = Meaning(scheme)
    pairs = _choose(survey, most)
    legend = _legend(scheme)
    cell_width, cell_height = 2 * _CELL[0] + 3 * _GAP, _CELL[1] + _LINE + _GAP
    rows = -(-len(pairs) // _COLUMNS)
    size = (_COLUMNS * cell_width + _GAP, rows * cell_height + legend.height + 2 * _GAP)
    sheet = Image.new("RGB", size, _WHITE)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, _COLUMNS)
        cell = _draw_pair(pair, meaning, below(survey.root, pair[0].path))
        sheet.paste(cell, (_GAP + column * cell_width, _GAP + row * cell_height))
    sheet.paste(legend, (_GAP, size[1] - legend.height - _GAP))
    return sheet


def _choose(survey: Survey, most: int) -> list[_Pair]:
    """Return pairs spread evenly over each split, as many from one as from another."""
    good = [
        [
            (image, mask)
            for image, mask in survey.pairs(split)
            if not image.fault and not mask.fault and not mask.lossy
        ]
        for split in survey.splits
    ]
    good = [pairs for pairs in good if pairs]
    share = -(-most // max(1, len(good)))
    chosen = [
        pairs[i * len(pairs) // min(share, len(pairs))]
        for pairs in good
        for i in range(min(share, len(pairs)))
    ]
    return chosen[:most]


def _draw_pair(pair: _Pair, meaning: Meaning, name: str) -> Image.Image:
    image, mask = pair
    cell = Image.new("RGB", (2 * _CELL[0] + _GAP, _CELL[1] + _LINE), _WHITE)
    photo = Image.fromarray(read_image(image.path))
    colors = Image.fromarray(_colored(mask, meaning))
    for part, left, filter in (
        (photo, 0, Image.Resampling.BILINEAR),
        (colors, _CELL[0] + _GAP, Image.Resampling.NEAREST),
    ):
        factor = min(_CELL[0] / part.width, _CELL[1] / part.height)
        size = (max(1, int(part.width * factor)), max(1, int(part.height * factor)))
        cell.paste(part.resize(size, filter), (left, 0))
    _write(cell, (0, _CELL[1] + 2), name)
    return cell


def _colored(mask: MaskFacts, meaning: Meaning) -> np.ndarray:
    """Return a mask as (H, W, 3) uint8 in the colours of its classes."""
    raw = read_mask(mask.path).astype(np.int64)
    if mask.form == "colour":
        raw = raw[:, :, 0] << 16 | raw[:, :, 1] << 8 | raw[:, :, 2]
    colored = np.full((*raw.shape, 3), _STRIKING, dtype=np.uint8)
    for value, label in zip(mask.values.tolist(), meaning.labels(mask).tolist(), strict=True):
        if label != UNKNOWN:
            colored[raw == value] = (
                _BLACK if label == IGNORE_INDEX else meaning.scheme.palette[label]
            )
    return colored


def _legend(scheme: LabelScheme) -> Image.Image:
    entries = [*zip(scheme.names, scheme.palette, strict=True)]
    entries += [("ignored", _BLACK), ("of no class", _STRIKING)]
    per_row = 6
    width = _COLUMNS * (2 * _CELL[0] + 3 * _GAP) - _GAP
    legend = Image.new("RGB", (width, _LINE * -(-len(entries) // per_row)), _WHITE)
    draw = ImageDraw.Draw(legend)
    for number, (name, color) in enumerate(entries):
        row, column = divmod(number, per_row)
        x, y = column * width // per_row, row * _LINE
        draw.rectangle((x, y + 3, x + 12, y + 14), fill=color, outline=_INK)
        _write(legend, (x + 18, y + 2), name)
    return legend


def _write(picture: Image.Image, place: tuple[int, int], text: str) -> None:
    """Write a short text; what the built-in font cannot show becomes a question mark."""
    shown = text[-60:].encode("ascii", "replace").decode()
    font = ImageFont.load_default(11.0)
    ImageDraw.Draw(picture).text(place, shown, fill=_INK, font=font)
