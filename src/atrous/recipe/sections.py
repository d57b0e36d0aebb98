"""What a recipe can say: its sections, each key with its type, default and meaning."""

from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
NonEmpty = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of a recipe: complete, immutable, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelSection(Section):
    """Which network is trained; the keywords of `atrous.create_model`."""

    architecture: str = "deeplabv3plus"
    """`deeplabv1`, `deeplabv2`, `deeplabv3`, `deeplabv3plus` or `lraspp`."""
    backbone: str = "efficientnet_lite0"
    """A convolutional network of timm by its name there, or `vgg16`, that of v1 and v2."""
    output_stride: Literal[4, 8, 16, 32] | None = None
    """Image pixels per cell of the deepest map; by default 8 for v1 and v2, else 16."""
    pyramid: str | None = None
    """What reads that map: `aspp`, `cascade`, `dense_aspp`, `wasp`, `dpc`, or for v2 `aspp_v2` or
    `large_fov`; by default the paper's own."""
    rates: tuple[PositiveInt, ...] | None = None
    """Distances between the pyramid's taps, in cells of that map; by default its paper's."""
    multi_grid: tuple[PositiveInt, ...] | None = None
    """Unit rates of the blocks of the last stage, times the rate of the stage; by default all 1."""
    separable: bool = False
    """Make the 3x3 convolutions of pyramid and decoder depthwise separable, as v3+ does."""
    separable_decoder: bool | None = None
    """The same for the decoder alone; by default as `separable`."""
    shared_kernel: bool = False
    """Let all rates of `aspp` use one 3x3 kernel (arXiv:1908.09443)."""
    image_pooling: bool = True
    """Whether `aspp` has a branch for the mean over the map (arXiv:1706.05587, section 3.3)."""
    kernel_size: PositiveInt = 3
    """Taps of `large_fov` along each axis: 3, or 4 or 7 as in the tables of v1."""
    channels: PositiveInt | None = None
    """Channels of each branch of the pyramid; by default its paper's, 256 for `aspp`."""
    scales: tuple[Annotated[float, Field(ge=0.1, le=4)], ...] = (1.0,)
    """Factors of the image's size at which it is read; the highest logit counts (v2)."""
    aux_head: bool = False
    """Classify an early map too while training; see `loss.aux_weight`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Probability that a value behind the pyramid is dropped while training; by default 0.5 for
    v1 and v2, 0.1 for v3 and v3+."""
    pretrained_backbone: bool = True
    """Start the backbone from its ImageNet weights."""


class DataSection(Section):
    """Which images are seen, and how each is changed before it is."""

    source: str = ""
    """A folder, or the name of a data set; `--data` of the command line."""
    classes: tuple[str, ...] = ()
    """For a folder without dataset.yaml: NAME, NAME=VALUE or NAME=VALUE#RRGGBB each."""
    ignore: tuple[NonNegativeInt, ...] = ()
    """Mask values that count for nothing, for a folder without dataset.yaml."""
    check: bool = True
    """Have the data doctor look at the data first, and not start where it finds errors."""
    train_split: str = "train"
    """The split that is learnt from; `train+val` joins two."""
    val_split: str = "val"
    """The split that is scored, and by which the best weights are chosen."""
    size: tuple[PositiveInt, PositiveInt] | None = None
    """Rows and columns of the images in pixels, for data sets that are made on the fly."""
    crop_size: tuple[PositiveInt, PositiveInt] | None = None
    """Rows and columns of a training crop in pixels; by default each batch is at the first image's
    size."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    """Smallest and largest factor by which a training image is resized before it is cropped."""
    flip: Fraction = 0.5
    """Probability that left and right change places."""
    brightness: NonNegativeFloat = 0.3
    """A factor from 1 - this to 1 + this is drawn; 0 leaves it out."""
    contrast: NonNegativeFloat = 0.3
    """Likewise."""
    saturation: NonNegativeFloat = 0.3
    """Likewise."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """A shift from -this to this is drawn, in turns of the colour circle."""
    workers: NonNegativeInt = 1
    """Processes that read and change images beside the one that trains."""
    worker_timeout: PositiveFloat = 120.0
    """Seconds to wait for one of them; longer, and it counts as stuck."""


class OptimSection(Section):
    """How the weights follow the gradients."""

    name: Literal["sgd", "adamw"] = "adamw"
    """The optimiser."""
    lr: PositiveFloat = 5e-4
    """Learning rate of the backbone at its highest."""
    head_lr_multiplier: PositiveFloat = 1.0
    """What the learning rate of the head is multiplied by."""
    head: Literal["all", "last_layer"] = "all"
    """What the head is here: all but the backbone, or only what gives the logits, as in v1."""
    bias_lr_multiplier: PositiveFloat = 1.0
    """The same for the biases of convolutions, on top of it: 2 in networks of Caffe."""
    momentum: Fraction = 0.9
    """Share of the last step that `sgd` adds to the next; `adamw` does not read it."""
    weight_decay: NonNegativeFloat = 0.01
    """How strongly weights are drawn to 0: L2 in `sgd`, decoupled in `adamw`."""
    schedule: Literal["poly", "cosine", "step"] = "poly"
    """How the learning rate falls over the steps (poly: arXiv:1606.00915, section 4.1)."""
    power: PositiveFloat = 0.9
    """Exponent of the poly schedule."""
    step_size: PositiveInt = 2000
    """Steps after which the step schedule multiplies the rate by gamma, again and again."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the step schedule multiplies the learning rate by."""
    warmup_steps: NonNegativeInt = 0
    """Steps over which the learning rate rises from near 0 to its highest."""
    clip_norm: PositiveFloat | None = None
    """Longest gradient that is followed; longer ones are shortened to it."""


class LossSection(Section):
    """What is made small: a sum of losses, each times its weight, on labels at full size."""

    cross_entropy: NonNegativeFloat = 1.0
    """Minus the logarithm of the true class's probability, in the mean over the pixels."""
    dice: NonNegativeFloat = 0.0
    """Overlap of each class that occurs, however small (arXiv:1707.03237)."""
    lovasz: NonNegativeFloat = 0.0
    """Mean IoU of the classes that occur, made smooth (arXiv:1705.08790)."""
    focal: NonNegativeFloat = 0.0
    """Cross-entropy that turns from easy pixels (arXiv:1708.02002, section 3)."""
    label_smoothing: Fraction = 0.0
    """Share of the truth that cross_entropy spreads evenly (arXiv:1512.00567, section 7)."""
    ohem_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of the pixels, the hardest ones, that cross_entropy counts (arXiv:1604.03540)."""
    focal_gamma: NonNegativeFloat = 2.0
    """How far `focal` turns from easy pixels; 0 is cross-entropy."""
    aux_weight: NonNegativeFloat = 0.4
    """Weight of the same sum at the auxiliary head (arXiv:1612.01105, sections 4 and 5.2)."""

    @model_validator(mode="after")
    def _something(self) -> "LossSection":
        if not self.cross_entropy + self.dice + self.lovasz + self.focal:
            raise ValueError("give one of cross_entropy, dice, lovasz and focal a weight")
        return self


class SecondStage(Section):
    """The end of a training on denser maps, as in arXiv:1706.05587, section 4.1."""

    from_fraction: Fraction = 0.5
    """Part of the training after which it begins."""
    output_stride: Literal[4, 8, 16, 32] = 8
    """Image pixels per cell of the deepest map from then on."""
    lr: PositiveFloat | None = None
    """Where the schedule starts anew; by default a seventh of optim.lr, as 0.001 is of 0.007."""
    freeze_batch_norm: bool = True
    """Whether batch norms stay as they are from then on."""


class TrainSection(Section):
    """How long, on what, and what is written when."""

    epochs: PositiveFloat | None = None
    """How often the training split is gone through; this or `max_steps`, not both. A recipe without
    the section `train` has 20."""
    max_steps: PositiveInt | None = None
    """How many steps are taken."""
    weights: str = ""
    """A model, by name or file, or another library's checkpoint to start from. Its network is
    trained, whatever `model` says; classes of the same name keep what was learnt."""
    batch_size: PositiveInt = 8
    """Images of a batch, over all processes together."""
    find_batch_size: bool = False
    """Take the largest batches that fit in memory, and as many for a step as make batch_size."""
    accumulate_steps: PositiveInt = 1
    """Batches whose gradients make one step; a batch norm still sees one batch at a time."""
    seed: NonNegativeInt = 0
    """Decides new weights, order, augmentation and dropout; the same seed gives the same bits."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`; auto takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 runs the network in bfloat16 autocast; auto takes it where the processor has it."""
    class_weights: Literal["none", "log-frequency", "median-frequency"] | tuple[float, ...] = "none"
    """Weights of the classes in the loss, counted on the training masks or given one by one."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Judge and keep a running average; a step leaves this much (arXiv:1512.00567, section 8)."""
    freeze: tuple[str, ...] = ()
    """Layers that do not learn: `backbone`, a stage of it such as `layer1`, or any module."""
    freeze_batch_norm: bool = False
    """Batch norms stay as they are; for batches too small for them (arXiv:1706.05587, table 9)."""
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    """What a batch adds to a running mean: 0.0003 where a paper's decay is 0.9997."""
    second_stage: SecondStage | None = None
    """An end of the training on denser maps; without it there is none."""
    patience: PositiveInt | None = None
    """Validations without a better score, in the last stage, after which the training ends."""
    validate_every: PositiveFloat = 1.0
    """Epochs between two validations; the last step always has one."""
    checkpoint_every: PositiveInt = 500
    """Steps between two checkpoints; validations have one too."""
    checkpoint_minutes: PositiveFloat = 5.0
    """Longest time between two checkpoints, where steps are slow."""
    keep_checkpoints: PositiveInt = 3
    """How many of the newest are kept."""
    previews: NonNegativeInt = 4
    """Validation images of which a picture (photo, truth, prediction) is written."""
    weights_dtype: Literal["float32", "float16"] = "float32"
    """How best.safetensors stores its weights."""

    @model_validator(mode="after")
    def _one_length(self) -> "TrainSection":
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give one of epochs and max_steps")
        return self


class Expected(Section):
    """A score to measure a training by: its own, or else the nearest that is known."""

    mean_iou: Annotated[float, Field(ge=0, le=100)]
    """In percent, of one confusion matrix over the split."""
    data: NonEmpty
    """The data set as people call it, such as Pascal VOC 2012."""
    split: NonEmpty = "val"
    """The split that was scored."""
    settings: NonEmpty
    """How it was measured: output stride, scales, what came after the network."""
    measured_by: NonEmpty
    """`the paper`, `atrous`, or the repository that it is of."""
    source: NonEmpty
    """Where it is written: the paper's table, or a page."""
    differs: str = ""
    """What was otherwise there than in this recipe; empty where nothing is known to be."""


class Recipe(Section):
    """A whole recipe.

    Example:
        >>> from atrous.recipe import load_recipe
        >>> load_recipe("shapes-quick").model.architecture
        'deeplabv3plus'
    """

    name: str = "custom"
    """What the recipe is called, in reports and model files."""
    license: str = ""
    """What one may do with the weights that this training makes."""
    expected: tuple[Expected, ...] = ()
    """What it should come to; the first row is the nearest. The training does not read it."""
    model: ModelSection = ModelSection()
    """Which network is trained."""
    data: DataSection = DataSection()
    """On which images."""
    loss: LossSection = LossSection()
    """What is made small."""
    optim: OptimSection = OptimSection()
    """How."""
    train: TrainSection = TrainSection(epochs=20)
    """How long, and what is written when."""

    def to_yaml(self) -> str:
        """Return the recipe with every value filled in, as YAML that `load_recipe` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
