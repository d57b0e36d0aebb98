"""The papers' tables, repeated: each line trained under one budget with several seeds."""

from atrous.reproduce.runs import Job, carry_out, plan
from atrous.reproduce.scores import Line, lines, read_scores
from atrous.reproduce.studies import STUDIES
from atrous.reproduce.study import Base, Study, Variant, recipe_for
from atrous.reproduce.table import write_results

__all__ = [
    "STUDIES",
    "Base",
    "Job",
    "Line",
    "Study",
    "Variant",
    "carry_out",
    "lines",
    "plan",
    "read_scores",
    "recipe_for",
    "write_results",
]
