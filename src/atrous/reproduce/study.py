"""What a study is: a table of a paper as data, and the recipe of each training in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atrous.errors import UsageError
from atrous.recipe import Recipe, load_recipe

SHAPES = "shapes"
# Only the last step validates, so the weights that a run keeps are the last: the best of many
# validations would be chosen on the very images that they are scored on.
_ONLY_THE_LAST_STEP = "train.validate_every=1000000.0"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A line of a table.

    Attributes:
        name: What it is called, and its folder.
        published: Its score in the paper, mIoU in percent.
        settings: What it changes in the base recipe, as in `model.architecture=deeplabv2`.
        rates: The pyramid's rates in the paper, in cells; none if the table does not vary them.
        crop: Sides of its training crops, as a part of the base recipe's.
        weights_of: The variant whose weights it scores; by default it has its own.
        denser: How many times smaller its output stride is in evaluation than in training.
    """

    name: str
    published: float
    settings: tuple[str, ...] = ()
    rates: tuple[int, ...] = ()
    crop: float = 1.0
    weights_of: str = ""
    denser: int = 1

    @property
    def trained_as(self) -> str:
        """The variant that is trained for it."""
        return self.weights_of or self.name


@dataclass(frozen=True, kw_only=True)
class Base:
    """What all variants of a study have in common, on one kind of data.

    Attributes:
        recipe: The recipe to begin with, by its name.
        settings: What is changed in it.
        rate_scale: What the paper's rates are multiplied by, where maps are smaller than its own.
    """

    recipe: str
    settings: tuple[str, ...]
    rate_scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Study:
    """A published table, and how it is repeated.

    Attributes:
        name: What the command calls it.
        varies: What is different from one variant to the next.
        source: The table.
        published_on: What the published scores are of.
        variants: Its lines.
        folder: The base for folders of photographs.
        shapes: The base for the made-up data set `shapes`.
    """

    name: str
    varies: str
    source: str
    published_on: str
    variants: tuple[Variant, ...]
    folder: Base
    shapes: Base

    def base(self, data: str) -> Base:
        """Return the base for a data set, by its folder or name."""
        return self.shapes if data == SHAPES else self.folder


def recipe_for(
    study: Study, variant: Variant, *, data: str, seed: int = 0, settings: Sequence[str] = ()
) -> Recipe:
    """Return the recipe of one training.

    Args:
        study: The table.
        variant: The line of it that is trained.
        data: The data set, by its folder or name.
        seed: Of the training.
        settings: Changes of the base recipe, the same for all variants.

    Raises:
        UsageError: `settings` changes what the study decides, or a rate reaches the whole map.
        RecipeError: A setting is not one of a recipe.

    Example:
        >>> from atrous.reproduce.studies import STUDIES
        >>> study = STUDIES["large-fov-vs-aspp"]
        >>> recipe_for(study, study.variants[2], data="my-photos", seed=1).model.rates
        (6, 12, 18, 24)
    """
    base = study.base(data)
    common = [*base.settings, *settings]
    changes = _changes(variant, base, load_recipe(base.recipe, common))
    _refuse_what_is_decided(study, variant, settings)
    changes += [f"train.seed={seed}", _ONLY_THE_LAST_STEP]
    recipe = load_recipe(base.recipe, [*common, *changes])
    _refuse_dead_rates(study, variant, recipe)
    return recipe.model_copy(
        update={
            "name": f"{study.name}-{variant.name}",
            "expected": (),  # that of the base recipe is not the variant's
            "data": recipe.data.model_copy(update={"source": data}),
        }
    )


def _changes(variant: Variant, base: Base, recipe: Recipe) -> list[str]:
    """Return what a variant changes in a base recipe, brought to the sizes of that."""
    changes = list(variant.settings)
    if variant.rates:
        scaled = [max(1, round(rate * base.rate_scale)) for rate in variant.rates]
        changes.append(f"model.rates={scaled}")
    if variant.crop != 1.0:
        if recipe.data.crop_size is None:
            raise UsageError(f"{variant.name} is a part of a crop; --set data.crop_size=[H, W]")
        changes.append(f"data.crop_size={[round(variant.crop * n) for n in recipe.data.crop_size]}")
    return changes


def _refuse_what_is_decided(study: Study, variant: Variant, settings: Sequence[str]) -> None:
    """Raise where a setting would be overruled."""
    varied = [*map(_key, variant.settings), *(["model.rates"] if variant.rates else [])]
    own = dict.fromkeys(varied, "the study varies it")
    own |= {
        "data.source": "--data names it",
        "train.seed": "--seeds counts them",
        "train.validate_every": "only the last weights are scored",
        "train.weights": "their network would be trained in place of the variant's",
        "name": "it is the variant's",
    }
    for key in map(_key, settings):
        if key in own:
            raise UsageError(
                f"{study.name}: --set {key} is not to be had: {own[key]}; leave it out"
            )


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _refuse_dead_rates(study: Study, variant: Variant, recipe: Recipe) -> None:
    """Raise where a kernel's outer taps see padding only, which makes a comparison of rates void.

    (arXiv:1706.05587, section 3.3: such a 3x3 kernel is a 1x1 one.)
    """
    crop, stride, rates = recipe.data.crop_size, recipe.model.output_stride, recipe.model.rates
    if crop is None or stride is None or not rates:
        return
    rows, columns = (math.ceil(side / stride) for side in crop)
    if max(rates) >= min(rows, columns):
        raise UsageError(
            f"{study.name}: {variant.name} has rate {max(rates)}, which leaves a map of {rows} x "
            f"{columns} cells (crops of {crop[0]} x {crop[1]} pixels at stride {stride}): the "
            f"comparison would be void; use a larger data.crop_size"
        )
