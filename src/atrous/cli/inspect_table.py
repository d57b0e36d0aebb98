"""How `atrous inspect` shows a network: a table of layers, sums, and what its pyramid sees."""

from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from atrous.cli.console import plain

if TYPE_CHECKING:
    from atrous.inspect import BranchTable, Inspection, LayerRow, LayerTable
    from atrous.inspect.output_strides import StrideRow
    from atrous.inspect.photograph import PhotoView


def show(found: "Inspection", console: Console, *, by_part: bool) -> None:
    """Print what was found, the layers under a line for each part of a whole network."""
    table = found.table
    frozen = table.parameters - table.trainable
    trained = f"{table.trainable:,} trainable" if frozen else "all trainable"
    console.print(f"{found.title}\n", soft_wrap=True)
    console.print(_layers(table, by_part=by_part))
    console.print(f"\nparameters     {table.parameters:,}, {trained}")
    console.print(f"multiply-adds  {table.multiply_adds:,}")
    console.print(f"output         {table.output_shape}")
    console.print(Text("\nmemory in MB of 2**20 bytes, float32", "bold"))
    console.print(_memory(table))
    if found.branches is not None:
        _show_branches(found.branches, console)
    if found.strides:
        console.print(Text("\nat other output strides", "bold"))
        console.print(_strides(found.strides))
    if found.photo is not None:
        console.print(Text("\nthe photograph", "bold"))
        console.print(_photo(found.photo))


def short(number: float) -> str:
    """Return a large number in three digits: 5.84G.

    Example:
        >>> short(5_843_575_520), short(999_999), short(7)
        ('5.84G', '1M', '7')
    """
    letters = iter(("", "k", "M", "G", "T"))
    letter = next(letters)
    while number >= 999.5 and letter != "T":
        number, letter = number / 1000, next(letters)
    return f"{number:.3g}{letter}" if number < 999.5 else f"{number:,.0f}{letter}"


def _layers(table: "LayerTable", *, by_part: bool) -> Table:
    """Return the rows; of a whole network, under a line for each of its parts."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("layer", overflow="fold")
    grid.add_column("kind", overflow="fold")
    grid.add_column("output", no_wrap=True)
    for title in ("parameters", "MAdds", "MB"):
        grid.add_column(title, justify="right", no_wrap=True)
    for _, group in groupby(table.rows, lambda row: row.name.split(".")[0] if by_part else ""):
        rows = tuple(group)
        part = _shared_name(rows) if by_part and len(rows) > 1 else ""
        if part:
            grid.add_row(Text(part, "bold"), "", "", *_costs(rows))
        for row in rows:
            name = f"  {row.name.removeprefix(part + '.')}" if part else row.name
            grid.add_row(name, row.kind, "x".join(map(str, row.output_shape[1:])), *_costs([row]))
    return grid


def _costs(rows: "Sequence[LayerRow]") -> tuple[str, str, str]:
    """Return parameters, multiply-adds and megabytes of rows together."""
    return (
        f"{sum(row.parameters for row in rows):,}",
        short(sum(row.multiply_adds for row in rows)),
        f"{sum(row.megabytes for row in rows):,.1f}",
    )


def _shared_name(rows: Iterable["LayerRow"]) -> str:
    """Return the part of the network that all rows stand in, such as `backbone.network`."""
    levels = zip(*(row.name.split(".")[:-1] for row in rows), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def _memory(table: "LayerTable") -> Table:
    return _lines(
        (part.replace("_", " "), f"{megabytes:,.2f}") for part, megabytes in table.megabytes.items()
    )


def _show_branches(table: "BranchTable", console: Console) -> None:
    height, width = table.map_size
    title = f"\nbranches on a map of {height} x {width} cells; lengths in {table.unit}"
    console.print(Text(title, "bold"), soft_wrap=True)
    heads = ["  branch", "useful taps", "reach", "theoretical", "effective"]
    columns = len(heads) if any(row.effective is not None for row in table.rows) else 4
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads[:columns]:
        grid.add_column(head, justify="left" if head == "  branch" else "right")
    for row in table.rows:
        name, *figures = row.words()
        grid.add_row(f"  {name}", *figures[: columns - 1])
    console.print(grid)
    if table.advice:
        console.print(Text.assemble(("\nwarning: ", "bold yellow"), table.advice), soft_wrap=True)
    if table.sizes:
        console.print(f"\n{table.sizes}", soft_wrap=True)


def _strides(rows: "Sequence[StrideRow]") -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in ("  output stride", "rates", "MAdds", "outputs MB", "useful taps of the widest"):
        grid.add_column(head, justify="right")
    for row in rows:
        useful = "" if row.useful is None else f"{100 * row.useful:.1f} %"
        rates = ", ".join(map(str, row.rates))
        adds = short(row.multiply_adds)
        grid.add_row(str(row.output_stride), rates, adds, f"{row.megabytes:,.0f}", useful)
    return grid


def _photo(view: "PhotoView") -> Table:
    shares = sorted(view.result.shares().items(), key=lambda one: -one[1])
    lines = [
        ("mean confidence", f"{100 * float(view.confidence.mean()):.1f} %"),
        *((plain(name), f"{100 * share:.1f} %") for name, share in shares if share >= 0.01),
        *(
            (f"labels that change without {one.name}", f"{100 * one.changed:.1f} %")
            for one in view.contributions
        ),
    ]
    return _lines(lines)


def _lines(lines: Iterable[tuple[str, ...]]) -> Table:
    """Return indented lines of a name and its figures."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    for name, *figures in lines:
        grid.add_row(f"  {name}", *(Text(figure, justify="right") for figure in figures))
    return grid
