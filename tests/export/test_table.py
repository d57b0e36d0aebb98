from rich.console import Console

from atrous.export.proof import SHAPES, Proof
from atrous.export.run import Exported
from atrous.export.score import Drop
from atrous.export.table import proof_table


def test_it_says_what_was_found():
    proof = Proof("int8", SHAPES, 0.5, 7.0, 0.99999, ((1, 1), (3, 6)))
    done = Exported((), proof, Drop("camvid", 101, 0.664, 0.6615), {})
    console = Console(width=120)
    with console.capture() as capture:
        console.print(proof_table(done))
    text = capture.get()
    for words in ("12 shapes", "5.0e-01", "99.99 %", "1 3x6, as in the model", "-0.25"):
        assert words in text
