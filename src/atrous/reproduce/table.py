"""The table of a study: for a terminal, as Markdown and as JSON."""

import math
from pathlib import Path
from typing import Any

from atrous.files import write_json, write_text
from atrous.reproduce.chart import draw
from atrous.reproduce.scores import Line, lines, read_scores
from atrous.reproduce.study import Study

HEADER = ("variant", "published", "gain", "measured", "gain", "each seed", "minutes")


def write_results(study: Study, out: str | Path, *, seeds: int) -> list[Path]:
    """Write `table.md`, `table.json` and `table.svg` of the scores in a folder, if there are any.

    Args:
        study: The table.
        out: The study's folder.
        seeds: How many trainings of each variant count.

    Returns:
        What was written.

    Raises:
        DataError: A score cannot be read.
        ResourceError: A file cannot be written.
    """
    out, scores = Path(out), read_scores(study, out, seeds=seeds)
    if not scores:
        return []
    table, facts = lines(study, scores), _facts(scores)
    return [
        write_text(out / "table.md", _markdown(study, table, facts)),
        write_json(out / "table.json", _json(study, table, facts)),
        write_text(out / "table.svg", draw(study, table, measured_on=conditions(facts))),
    ]


def rows(table: list[Line]) -> list[tuple[str, ...]]:
    """Return the cells of a table under `HEADER`: mIoU in percent, gains in points.

    A gain is that over the first line; of measured scores, mean and standard deviation are shown.
    """
    first = table[0]
    return [
        (
            line.variant.name,
            f"{line.variant.published:.2f}",
            "" if line is first else f"{line.variant.published - first.variant.published:+.2f}",
            _spread(line.mean, line.deviation),
            "" if line is first else _spread(*line.gain_over(first), sign="+"),
            " ".join(f"{score:.2f}" for _, score in sorted(line.scores.items())) or "-",
            " ".join(f"{minutes:.1f}" for _, minutes in sorted(line.minutes.items())) or "-",
        )
        for line in table
    ]


def conditions(facts: dict[str, Any]) -> str:
    """Return what the scores were measured on, in one line."""
    return (
        f"{facts['dataset']} {facts['val_split']} ({facts['images']} images), "
        f"{facts['backbone']}, {facts['steps']} steps of {facts['batch_size']}"
    )


def _facts(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what all trainings have in common; what differs is listed."""
    recipe = scores[0]["recipe"]
    return {
        "dataset": scores[0]["dataset"],
        "val_split": recipe["data"]["val_split"],
        "images": scores[0]["images"],
        "backbone": recipe["model"]["backbone"],
        "steps": scores[0]["steps"],
        "batch_size": recipe["train"]["batch_size"],
        **{
            name: ", ".join(sorted({str(score[name]) for score in scores}))
            for name in ("processor", "torch", "atrous")
        },
        "settings": _common([score["recipe"] for score in scores]),
    }


def _common(recipes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what all recipes say alike, by section."""
    first = recipes[0]
    return {
        section: {
            key: value
            for key, value in values.items()
            if key != "seed" and all(r[section].get(key) == value for r in recipes)
        }
        for section, values in first.items()
        if isinstance(values, dict)
    }


def _markdown(study: Study, table: list[Line], facts: dict[str, Any]) -> str:
    cells = [HEADER, ("---", *["---:"] * (len(HEADER) - 1)), *rows(table)]
    drawn = "\n".join(f"| {' | '.join(map(_in_a_cell, row))} |" for row in cells)
    return f"""# {study.name}

{drawn}

- Varied: {study.varies}.
- Published: {study.source}; mIoU in percent on {study.published_on}.
- Measured: {conditions(facts)}; mIoU in percent of the last weights, mean ± standard deviation over
  the seeds. No step but the last was validated, so none was chosen by its score.
- A gain is that over the first line, in points; of the measured scores, between equal seeds.
- {facts["processor"]}; torch {facts["torch"]}, atrous {facts["atrous"]}.
"""


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _json(study: Study, table: list[Line], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": study.name,
        "varies": study.varies,
        "source": study.source,
        "published_on": study.published_on,
        **facts,
        "scored_weights": "last",
        "variants": [
            {
                "name": line.variant.name,
                "published": line.variant.published,
                "mean": _known(line.mean),
                "standard_deviation": _known(line.deviation),
                "gain": _known(line.gain_over(table[0])[0]),
                "scores": {str(seed): _known(score) for seed, score in line.scores.items()},
                "minutes": {str(seed): minutes for seed, minutes in line.minutes.items()},
            }
            for line in table
        ],
    }


def _spread(mean: float, deviation: float, *, sign: str = "") -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:{sign}.2f}" + ("" if math.isnan(deviation) else f" ± {deviation:.2f}")


def _known(number: float) -> float | None:
    """Return None, which JSON has, for NaN, which it has not."""
    return None if math.isnan(number) else round(number, 4)
