"""What came of a training: its result, its curves, and the scores of each class."""

import math
from collections.abc import Iterable, Sequence

from atrous.evaluate import Evaluation
from atrous.page.charts import line_chart
from atrous.page.layout import grid, percent, section, swatch, wide
from atrous.page.markup import Markup, join, tag
from atrous.train.report.run_record import Row, RunRecord

_NAN = math.nan
_IOU = "val_iou/"  # what the columns of single classes begin with
_CURVES = 6  # classes in a chart; more colours cannot be told apart


def result(run: RunRecord, evaluation: Evaluation | None) -> Markup:
    """Return the head of the page: what was trained, and what came of it."""
    score, accuracy, images = _scores(run, evaluation)
    model, data = run.recipe.model, run.recipe.data
    steps = f"{run.steps:,}"
    if run.total_steps is not None and run.steps < run.total_steps:
        steps += f" of {run.total_steps:,}"
    best = f", best at {run.best['step']:,.0f}" if run.best else ""
    tiles = [
        ("mIoU", percent(score), images),
        ("pixel accuracy", percent(accuracy), images),
        ("time", _duration(run.facts.get("minutes")), run.facts.get("processor", "")),
        ("steps", steps, f"batches of {run.recipe.train.batch_size}{best}"),
    ]
    return tag(
        "header",
        tag("h1", run.recipe.name),
        tag("p", f"{model.architecture} on {model.backbone}, trained on {data.source}"),
        tag("div", *(_tile(*tile) for tile in tiles), class_="tiles"),
        data_step=run.steps,
    )


def curves(run: RunRecord) -> Markup:
    """Return loss, scores, learning rate and speed over the steps."""
    trained, validated = [row for row in run.rows if "loss" in row], run.validations
    steps = _column(trained, "step")
    scores = {
        "mIoU": _column(validated, "val_mean_iou", 100),
        "pixel accuracy": _column(validated, "val_pixel_accuracy", 100),
    }
    rates = {"learning rate": _column(trained, "lr")}
    speeds = {"images per second": _column(trained, "images_per_second")}
    return section(
        "Curves",
        grid(
            line_chart("Loss", steps, {"loss": _column(trained, "loss")}, axis="loss"),
            line_chart("Validation", _column(validated, "step"), scores, axis="percent"),
            line_chart("Learning rate", steps, rates, axis="of the backbone"),
            line_chart("Speed", steps, speeds, axis="images per second"),
        ),
    )


def classes_over_time(run: RunRecord) -> Markup:
    """Return the IoU of each class over the steps, a few in a chart, the best of the end first."""
    rows = run.validations
    names = dict.fromkeys(key for row in rows for key in row if key.startswith(_IOU))
    lines = {name.removeprefix(_IOU): _column(rows, name, 100) for name in names}
    ranked = sorted(lines, key=lambda name: -_last(lines[name]))
    charts = (
        line_chart(
            f"Classes {first + 1} to {first + len(group)} of {len(ranked)}",
            _column(rows, "step"),
            {name: lines[name] for name in group},
            axis="IoU, percent",
        )
        for first, group in ((k, ranked[k : k + _CURVES]) for k in range(0, len(ranked), _CURVES))
    )
    return section("Classes over time", grid(*charts)) if len(rows) > 1 else Markup()


def classes(run: RunRecord, evaluation: Evaluation | None) -> Markup:
    """Return the scores of each class, as bars and as numbers."""
    head = ("class", "", "IoU %", "accuracy %", "pixels %")
    rows = [
        tag(
            "tr",
            tag("th", swatch(run.palette.get(name)), name, scope="row"),
            tag("td", _bar(scores[0]), class_="bars"),
            *(tag("td", _number(score)) for score in scores),
        )
        for name, *scores in _class_scores(run, evaluation)
    ]
    titles = tag("tr", *(tag("th", title, scope="col") for title in head))
    table = tag("table", tag("thead", titles), tag("tbody", join(rows, "\n")), class_="classes")
    return section("Classes", wide(table) if rows else None)


def _tile(name: str, value: str, note: object) -> Markup:
    return tag("div", tag("span", name), tag("strong", value), tag("small", note), class_="tile")


def _last(values: Sequence[float]) -> float:
    """Return the last value that is one, or -1."""
    return next((value for value in reversed(values) if math.isfinite(value)), -1.0)


def _column(rows: Sequence[Row], name: str, factor: float = 1.0) -> list[float]:
    return [factor * row.get(name, _NAN) for row in rows]


def _scores(run: RunRecord, evaluation: Evaluation | None) -> tuple[float, float, str]:
    """Return mIoU, pixel accuracy, and what they were measured on."""
    split = run.recipe.data.val_split
    if evaluation is not None:
        scores, where = evaluation.scores, f"{evaluation.images:,} images of '{split}'"
        return scores.mean_iou, scores.pixel_accuracy, where
    if run.best is not None:
        where = f"best validation on '{split}' so far"
        return run.best["val_mean_iou"], run.best.get("val_pixel_accuracy", _NAN), where
    return _NAN, _NAN, "not validated yet"


def _class_scores(
    run: RunRecord, evaluation: Evaluation | None
) -> Iterable[tuple[str, float, float, float]]:
    """Yield name, IoU, accuracy and share of the pixels of each class, as far as known."""
    if evaluation is not None:
        ious, accuracies = evaluation.scores.class_iou, evaluation.class_accuracy
        return zip(evaluation.classes, ious, accuracies, evaluation.class_shares, strict=True)
    columns = (run.best or {}).items()
    ious = {name.removeprefix(_IOU): iou for name, iou in columns if name.startswith(_IOU)}
    return ((name, iou, _NAN, _NAN) for name, iou in ious.items())


def _bar(fraction: float) -> Markup | str:
    if math.isnan(fraction):
        return ""
    title = tag("title", percent(fraction))
    bar = tag("rect", width=f"{100 * fraction:.1f}", height=8)
    size = {"viewBox": "0 0 100 8", "preserveAspectRatio": "none"}
    return tag("svg", title, tag("rect", width=100, height=8, class_="whole"), bar, **size)


def _number(fraction: float) -> str:
    return "n/a" if math.isnan(fraction) else f"{100 * fraction:.2f}"


def _duration(minutes: float | None) -> str:
    if minutes is None:
        return "n/a"
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{int(minutes) // 60} h {int(minutes) % 60:02d} min"
