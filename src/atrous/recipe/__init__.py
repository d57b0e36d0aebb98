"""The recipe: everything that decides a training, in one YAML file with sections.

A recipe is data. Names in it are looked up in atrous's own tables and never imported; a key that
is not known is refused, with the nearest one that is.
"""

from atrous.recipe.reading import load_recipe, recipe_names, recipe_text
from atrous.recipe.sections import (
    DataSection,
    Expected,
    LossSection,
    ModelSection,
    OptimSection,
    Recipe,
    SecondStage,
    Section,
    TrainSection,
)

__all__ = [
    "DataSection",
    "Expected",
    "LossSection",
    "ModelSection",
    "OptimSection",
    "Recipe",
    "SecondStage",
    "Section",
    "TrainSection",
    "load_recipe",
    "recipe_names",
    "recipe_text",
]
