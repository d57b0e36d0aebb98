"""The part of the page that is about one photograph."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from atrous.inspect.drawings.heat_map import heat_map
from atrous.inspect.photograph import PhotoView
from atrous.page.layout import percent, section, swatch
from atrous.page.markup import Markup, join, tag
from atrous.page.picture import photo_address

_BOX = (640, 640)  # px (width, height) that the photograph is shrunk into
_SMALL = (320, 320)  # where it lies under maps


def photo_sections(view: PhotoView) -> Iterator[Markup]:
    """Yield what was made of the photograph, how sure that is, and which branch did what."""
    under = photo_address(_grey(view.result.image), _SMALL)
    yield _result(view, under)
    yield _activations(view, under)
    yield _contributions(view, under)


def _result(view: PhotoView, under: str) -> Markup:
    result = view.result
    overlay = photo_address(np.array(result.overlay()), _BOX)
    shares = sorted(result.shares().items(), key=lambda one: -one[1])
    colors = dict(zip(result.classes, result.palette, strict=True))
    legend = (
        tag("span", swatch(colors[name]), f"{name} {percent(share)}")
        for name, share in shares
        if share >= 0.001
    )
    doubt = 1 - view.confidence
    maps = [
        tag(
            "figure",
            tag("figcaption", "labels"),
            tag("img", src=overlay, alt="the photograph under its labels"),
            class_="chart",
        ),
        _figure("doubt: 1 - probability", doubt, under, span=1.0),
        _figure("entropy, of its maximum", view.entropy, under, span=1.0),
    ]
    means = (
        f"Mean confidence {percent(float(view.confidence.mean()))}, mean entropy "
        f"{percent(float(view.entropy.mean()))} of its maximum."
    )
    return section("Photograph", tag("p", *legend, class_="legend"), tag("p", means), _row(maps))


def _activations(view: PhotoView, under: str) -> Markup:
    note = (
        "Where the deepest map speaks for a class: gradient-weighted class activation "
        "(arXiv:2002.11434), for the largest classes."
    )
    maps = [_figure(name, heat, under, span=1.0) for name, heat in view.activations.items()]
    return section("Class activation", *((tag("p", note), _row(maps)) if maps else ()))


def _contributions(view: PhotoView, under: str) -> Markup:
    """Return the part of each branch in the logits of the largest class, on one scale."""
    if not view.contributions:
        return Markup()
    shares = view.result.shares()
    largest = max(shares, key=lambda name: shares[name])
    number = view.result.classes.index(largest)
    maps = {one.name: one.logits[number] for one in view.contributions}
    span = max(float(part.abs().max()) for part in maps.values()) or 1.0
    drawn = [
        _figure(
            f"{one.name}: {percent(one.changed)} of the labels", maps[one.name], under, span=span
        )
        for one in view.contributions
    ]
    note = (
        f"What each branch adds to the logits of {largest}, the largest class, on one scale of "
        f"{span:.2g}: orange speaks for it, blue against it. The number is the share of all labels "
        "that change when the branch is left out."
    )
    return section("Branches", tag("p", note), _row(drawn))


def _figure(caption: str, values: Tensor, under: str, *, span: float) -> Markup:
    drawing = heat_map(values.numpy(), label=caption, under=under, span=span)
    return tag("figure", tag("figcaption", caption), drawing, class_="chart")


def _row(drawn: list[Markup]) -> Markup:
    return tag("div", join(drawn, "\n"), class_="grid small")


def _grey(image: np.ndarray) -> np.ndarray:
    """Return a photograph without colours, so that those of a map stand out."""
    grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
    return np.repeat(grey, 3, axis=2)
