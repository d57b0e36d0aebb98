"""How `atrous inspect` shows trainings: one run, or runs side by side."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from atrous.cli.console import messages, plain, results
from atrous.errors import UsageError


def show_runs(folders: Sequence[str], html: Path | None, *, as_json: bool) -> None:
    """Print the figures of runs, and write their pages.

    Raises:
        UsageError: A page was asked for about one run, which has its own.
        DataError: A folder is no run, or a file of it is damaged.
    """
    from atrous.inspect.runs import report_of, side_by_side, summarise, write_comparison

    if html is not None and len(folders) == 1:
        raise UsageError("--html: a run has its report.html; name two runs to compare them")
    runs = [summarise(folder) for folder in folders]
    rows = side_by_side(runs)
    if as_json:
        _print_json(folders, rows)
    else:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        grid.add_column("")
        for folder in folders:
            grid.add_column(plain(folder), justify="right", overflow="fold")
        for row in rows:
            grid.add_row(*map(plain, row))
        results().print(grid)
    written = [write_comparison(runs, html)] if html else [report_of(run) for run in runs]
    console = messages() if as_json else results()
    for path in written:
        console.print(f"{plain(path)}", soft_wrap=True)


def _print_json(folders: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    import json

    content = {
        folder: {name: figures[number] for name, *figures in rows}
        for number, folder in enumerate(folders)
    }
    results().print(json.dumps(content, indent=2), soft_wrap=True)
