"""The studies: published tables that one command repeats.

Each table is repeated on other data, with another backbone and a smaller budget than the paper's:
what can be compared is the order of its lines and the distance between them, not the scores.
"""

from atrous.reproduce.study import Base, Study, Variant

# Street scenes of 480x360 and the like, from ImageNet weights that come as a package.
_PHOTOS = (
    "model.backbone=efficientnet_lite0",
    "model.separable=false",
    "data.crop_size=[360, 480]",
    "data.scale=[0.6, 1.8]",
    "optim.lr=0.0004",
    "optim.head_lr_multiplier=3",
    "optim.warmup_steps=20",
    "train.max_steps=230",
    "train.batch_size=8",
)
# Pictures of 128x96 pixels, from nothing. A stride of 4 makes maps of 32x24 cells of them.
_SHAPES = ("model.output_stride=4", "model.separable=false", "train.max_steps=520")

LARGE_FOV_VS_ASPP = Study(
    name="large-fov-vs-aspp",
    varies="the head of DeepLab v2: one rate, four small ones, four large ones",
    source="arXiv:1606.00915, table 3",
    published_on="PASCAL VOC 2012 val, VGG-16, before the CRF",
    variants=(
        Variant(
            name="large-fov",
            published=65.76,
            settings=("model.pyramid=large_fov",),
            rates=(12,),
        ),
        Variant(
            name="aspp-s",
            published=66.98,
            settings=("model.pyramid=aspp_v2",),
            rates=(2, 4, 8, 12),
        ),
        Variant(
            name="aspp-l",
            published=68.96,
            settings=("model.pyramid=aspp_v2",),
            rates=(6, 12, 18, 24),
        ),
    ),
    # All heads have hidden layers of one width, as in the paper (1024, behind VGG-16).
    folder=Base(
        recipe="default",
        settings=(
            *_PHOTOS,
            "model.architecture=deeplabv2",
            "model.output_stride=8",
            "model.channels=256",
        ),
    ),
    # Maps of 32x24 cells, where the paper's crops of 321 pixels have 41x41: half the rates.
    shapes=Base(
        recipe="shapes-quick",
        settings=(*_SHAPES, "model.architecture=deeplabv2", "model.channels=128"),
        rate_scale=0.5,
    ),
)

OUTPUT_STRIDE = Study(
    name="output-stride",
    varies="the output stride in evaluation, of the same weights",
    source="arXiv:1706.05587, table 6",
    published_on="PASCAL VOC 2012 val, ResNet-101, trained at 16",
    variants=(
        Variant(name="as-trained", published=77.21),
        Variant(name="twice-as-dense", published=78.51, weights_of="as-trained", denser=2),
    ),
    folder=Base(
        recipe="default",
        settings=(
            *_PHOTOS,
            "model.architecture=deeplabv3",
            "model.output_stride=16",
            "model.rates=[6, 12, 18]",
        ),
    ),
    # Trained at 8, as the smallest objects would be lost at 16.
    shapes=Base(
        recipe="shapes-quick",
        settings=(
            *_SHAPES,
            "model.architecture=deeplabv3",
            "model.output_stride=8",
            "model.rates=[2, 4, 6]",
        ),
    ),
)

CROP_SIZE = Study(
    name="crop-size",
    varies="the size of the training crops: five eighths of the side, and all of it",
    source="arXiv:1706.05587, table 8",
    published_on="PASCAL VOC 2012 val, ResNet-101, crops of 321 and of 513 pixels",
    variants=(
        Variant(name="small-crops", published=67.22, crop=321 / 513),
        Variant(name="large-crops", published=77.21),
    ),
    # The rates leave the small crops' maps of 15x19 and 8x10 cells as little as the paper's 18
    # leaves those of 21x21.
    folder=Base(
        recipe="default",
        settings=(
            *_PHOTOS,
            "model.architecture=deeplabv3",
            "model.output_stride=16",
            "model.rates=[4, 8, 12]",
        ),
    ),
    shapes=Base(
        recipe="shapes-quick",
        settings=(
            *_SHAPES,
            "model.architecture=deeplabv3",
            "model.output_stride=8",
            "model.rates=[2, 4, 6]",
        ),
    ),
)

_BARE = "model.image_pooling=false"
V3_LADDER = Study(
    name="v3-ladder",
    varies="multi-grid, the rates, and image pooling in the head of DeepLab v3",
    source="arXiv:1706.05587, table 5",
    published_on="PASCAL VOC 2012 val, ResNet-101, output stride 16",
    variants=(
        Variant(
            name="multi-grid-1-1-1",
            published=75.36,
            settings=("model.multi_grid=[1, 1, 1]", _BARE),
            rates=(6, 12, 18),
        ),
        Variant(
            name="multi-grid-1-2-1",
            published=75.93,
            settings=("model.multi_grid=[1, 2, 1]", _BARE),
            rates=(6, 12, 18),
        ),
        Variant(
            name="multi-grid-1-2-4",
            published=76.58,
            settings=("model.multi_grid=[1, 2, 4]", _BARE),
            rates=(6, 12, 18),
        ),
        Variant(
            name="rate-24",
            published=76.46,
            settings=("model.multi_grid=[1, 2, 4]", _BARE),
            rates=(6, 12, 18, 24),
        ),
        Variant(
            name="image-pooling",
            published=77.21,
            settings=("model.multi_grid=[1, 2, 4]", "model.image_pooling=true"),
            rates=(6, 12, 18),
        ),
    ),
    # A backbone with three blocks in its last stage. Maps of 23x30 cells, where the paper's crops
    # of 513 pixels have 33x33.
    folder=Base(
        recipe="default",
        settings=(
            *_PHOTOS,
            "model.architecture=deeplabv3",
            "model.backbone=resnet50",
            "model.output_stride=16",
        ),
        rate_scale=2 / 3,
    ),
    # Maps of 12x16 cells.
    shapes=Base(
        recipe="shapes-quick",
        settings=(
            *_SHAPES,
            "model.architecture=deeplabv3",
            "model.backbone=resnet34",
            "model.output_stride=8",
            "optim.lr=0.001",
        ),
        rate_scale=1 / 3,
    ),
)

STUDIES = {study.name: study for study in (LARGE_FOV_VS_ASPP, V3_LADDER, OUTPUT_STRIDE, CROP_SIZE)}
