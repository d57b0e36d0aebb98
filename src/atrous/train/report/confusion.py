"""A confusion matrix as a shaded table, and the mistakes that weigh most in it."""

from collections.abc import Iterator, Sequence

import numpy as np

from atrous.evaluate import Evaluation
from atrous.page.layout import percent, section, wide
from atrous.page.markup import Markup, join, tag

_MOST_NUMBERED = 40  # classes up to which there is room for numbers
_LEAST_SHOWN = 0.005  # share of a class's pixels below which a cell stays blank


def confusion(evaluation: Evaluation | None) -> Markup:
    """Return what was taken for what."""
    if evaluation is None:
        return Markup()
    found = largest_confusions(evaluation.matrix, evaluation.classes)
    lines = [
        tag("li", tag("b", percent(share)), f" of {true} taken for {predicted}")
        for true, predicted, share in found
    ]
    return section(
        "Confusion",
        tag("p", "Rows: true class. Columns: predicted class. In percent of the true class."),
        tag(
            "div",
            wide(confusion_table(evaluation.matrix, evaluation.classes)),
            tag("div", tag("h3", "Most often mistaken"), tag("ol", *lines)) if lines else None,
            class_="beside",
        ),
    )


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> Markup:
    """Return the matrix as a table, each row in percent of the pixels of its true class.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.
        classes: Names of the K classes.

    Example:
        >>> confusion_table(np.array([[3, 1], [0, 0]]), ("road", "car")).count("<td></td>")
        2
    """
    shares = _shares(matrix)
    head = tag("tr", tag("th"), *(tag("th", tag("span", name), scope="col") for name in classes))
    body = (
        tag("tr", tag("th", name, scope="row"), *_cells(shares[row], row, classes))
        for row, name in enumerate(classes)
    )
    size = "confusion" if len(classes) <= _MOST_NUMBERED else "confusion dense"
    return tag("table", tag("thead", head), tag("tbody", join(body, "\n")), class_=size)


def largest_confusions(
    matrix: np.ndarray, classes: Sequence[str], *, most: int = 5
) -> list[tuple[str, str, float]]:
    """Return true class, predicted class and share of the true one's pixels, largest first.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.
        classes: Names of the K classes.
        most: How many; only shares of at least one percent count.
    """
    shares = _shares(matrix)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:most]
    places = (divmod(int(place), len(classes)) for place in order)
    return [
        (classes[row], classes[column], float(shares[row, column]))
        for row, column in places
        if shares[row, column] >= 0.01
    ]


def _cells(shares: np.ndarray, row: int, classes: Sequence[str]) -> Iterator[Markup]:
    numbered = len(classes) <= _MOST_NUMBERED
    for column, share in enumerate(shares):
        if share < _LEAST_SHOWN:
            yield tag("td")
            continue
        yield tag(
            "td",
            f"{100 * share:.0f}" if numbered else "",
            title=f"{100 * share:.1f} % of {classes[row]} taken for {classes[column]}",
            style=f"--share:{share:.2f}",
            class_="full" if share > 0.5 else None,
        )


def _shares(matrix: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros stays one."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
