"""A proof on the screen."""

from rich.table import Table

from atrous.export.run import Exported


def proof_table(exported: Exported) -> Table:
    """Return what `rich` can print: what was checked, and what was found.

    Args:
        exported: An export that passed.
    """
    proof, drop = exported.proof, exported.drop
    sides = [f"{height}x{width}" for _, height, width in proof.shapes]
    grid = Table.grid(padding=(0, 2))
    grid.add_row("checked on", f"{len(sides)} shapes from {sides[6]} to {sides[-1]}, some in pairs")
    grid.add_row(
        "largest difference", f"{proof.difference:.1e} in logits of up to {proof.largest:.3g}"
    )
    grid.add_row("equal labels", f"{_floor(proof.equal_labels)} %")
    rates = " ".join(
        f"{rows}" if rows == columns else f"{rows}x{columns}" for rows, columns in proof.rates
    )
    grid.add_row("rates", f"{rates}, as in the model")
    if drop is not None:
        change = 100 * (drop.after - drop.before)
        grid.add_row(
            "mIoU",
            f"{100 * drop.before:.2f} % before, {100 * drop.after:.2f} % after ({change:+.2f}) "
            f"on {drop.images} images of {drop.dataset}",
        )
    return grid


def _floor(share: float) -> str:
    """Return percent with two digits, 100 only where it is all."""
    return f"{int(1e4 * share) / 100:.2f}"
