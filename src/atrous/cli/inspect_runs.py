"""How `atrous inspect` shows trainings: one run, or runs side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from atrous.cli.console import messages, plain, results


def show_runs(folders: Sequence[str], html: Path | None, *, as_json: bool) -> None:
    """Print the figures of runs, and write their pages.

    Raises:
        DataError: A folder is no run, or a file of it is damaged.
    """
    from atrous.inspect.runs import report_of, side_by_side, summarise, to_json, write_comparison

    runs = [summarise(folder) for folder in folders]
    if as_json:
        content = {folder: to_json(run) for folder, run in zip(folders, runs, strict=True)}
        results().print(json.dumps(content, indent=2), soft_wrap=True)
    else:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        grid.add_column("")
        for folder in folders:
            grid.add_column(plain(folder), justify="right", overflow="fold")
        for row in side_by_side(runs):
            grid.add_row(*map(plain, row))
        results().print(grid)
    written = [write_comparison(runs, html)] if html else [report_of(run) for run in runs]
    console = messages() if as_json else results()
    for path in written:
        console.print(f"{plain(path)}", soft_wrap=True)
