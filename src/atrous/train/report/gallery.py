"""The pictures of the page: validation images with what is true and what was predicted."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from atrous.data.images import read_image
from atrous.data.palettes import Color
from atrous.page.layout import grid, percent, section, swatch
from atrous.page.markup import Markup, tag
from atrous.page.picture import photo_address
from atrous.train.report.ranking import ImageRanking, RankedImage
from atrous.train.run_directory import PREVIEWS

_PREVIEW_BOX = (880, 240)  # px (width, height) of photo, truth and prediction side by side
_MOST_PREVIEWS = 8
_IGNORED = tag("span", tag("i", class_="swatch ignored"), "ignored")


def images(ranking: ImageRanking | None, palette: Mapping[str, Color]) -> Markup:
    """Return the best and worst validation images, with a legend of the classes."""
    if ranking is None or not ranking.best:
        return Markup()
    legend = (tag("span", swatch(color), name) for name, color in palette.items())
    return section(
        "Images",
        tag("p", "Photo, truth and prediction, with the mIoU over the classes of the image alone."),
        tag("p", *legend, _IGNORED, class_="legend"),
        *_gallery("Worst", ranking.worst),
        *_gallery("Best", ranking.best),
    )


def previews(folder: Path) -> Markup:
    """Return the pictures of the last validation, for a run that was never ranked."""
    paths = sorted((folder / PREVIEWS).glob("*.png"))[:_MOST_PREVIEWS]
    cards = (
        tag(
            "figure",
            tag("img", src=photo_address(read_image(path), _PREVIEW_BOX), alt=path.stem),
            tag("figcaption", path.stem),
            class_="card",
        )
        for path in paths
    )
    note = tag("p", "Photo, truth and prediction of the last validation.")
    return section("Images", *((note, grid(*cards)) if paths else ()))


def _gallery(title: str, ranked: list[RankedImage]) -> Iterator[Markup]:
    if ranked:
        yield tag("h3", title)
        yield grid(*map(_card, ranked))


def _card(image: RankedImage) -> Markup:
    pictures = {"photo": image.photo, "truth": image.truth, "prediction": image.prediction}
    shown = (
        tag("img", src=address, alt=f"{what} of {image.name}", title=what)
        for what, address in pictures.items()
    )
    caption = tag("figcaption", tag("b", percent(image.iou)), " ", image.name)
    return tag("figure", tag("div", *shown, class_="strip"), caption, class_="card")
