"""Findings about files: what cannot be read, has no partner, or has the wrong size."""

import shlex
from collections import Counter
from pathlib import Path

from atrous.data.doctor.findings import Finding, Place, below, number_of, set_aside
from atrous.data.doctor.survey import ImageFacts, MaskFacts, Size, Survey

_TO_PNG = (
    'python -c "import sys; from PIL import Image; '
    "[Image.open(f).save(f.rpartition('.')[0] + '.png') for f in sys.argv[1:]]\""
)


def file_findings(survey: Survey) -> list[Finding]:
    """Return what is wrong with single files and with pairs."""
    if not survey.splits:
        return [_no_split(survey.root)]
    return [
        *_empty_splits(survey),
        *_unreadable(survey),
        *_partners(survey),
        *_duplicates(survey),
        *_mask_formats(survey),
        *_mismatched(survey),
        *_passed_over(survey),
    ]


def size_findings(survey: Survey, split: str, crop_size: Size | None) -> list[Finding]:
    """Return what the sizes of the training images mean for crops.

    Args:
        survey: Of the folder.
        split: The one that is trained on.
        crop_size: (height, width) of a crop; None for that of the first image.
    """
    images = [image for image, _ in survey.pairs(split) if not image.fault]
    sizes = Counter(image.size for image in images)
    if not sizes:
        return []
    if len(sizes) == 1:
        found = [Finding("sizes", "note", f"{split}: all images are {_words(images[0].size)}", "")]
    else:
        found = [_many_sizes(split, sizes, crop_size)]
    crop = crop_size or images[0].size
    small = [
        Place(below(survey.root, image.path), _words(image.size))
        for image in images
        if image.size[0] < crop[0] or image.size[1] < crop[1]
    ]
    if small:
        height, width = (min(size[axis] for size in sizes) for axis in (0, 1))
        what = f"{number_of(len(small), 'image')} of {split} smaller than the crop {_words(crop)}"
        cure = (
            f"train with --set data.crop_size=[{height},{width}], or leave it: the rest is padding"
        )
        found.append(Finding.at("smaller-than-crop", "warning", small, what=what, cure=cure))
    return found


def _many_sizes(split: str, sizes: Counter[Size], crop_size: Size | None) -> Finding:
    least, most = (_words(pick(sizes, key=_area)) for pick in (min, max))
    what = f"{split}: images of {len(sizes)} sizes, from {least} to {most}"
    if crop_size is not None:
        return Finding("sizes", "note", what, "")
    middle = sorted(sizes.elements(), key=_area)[sizes.total() // 2]
    cure = (
        "choose a crop, or it is as large as the first image: train with "
        f"--set data.crop_size=[{middle[0]},{middle[1]}]"
    )
    return Finding("sizes", "warning", what, cure)


def _no_split(root: Path) -> Finding:
    loose = [kind for kind in ("images", "masks") if (root / kind).is_dir()]
    if loose:
        what = f"{' and '.join(f'{kind}/' for kind in loose)} hold no split"
    else:
        entries = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        what = f"no images/ and masks/; there is {', '.join(entries[:5]) or 'no folder at all'}"
    cure = "put the files into images/train, masks/train, images/val and masks/val"
    return Finding("no-split", "error", what, cure)


def _empty_splits(survey: Survey) -> list[Finding]:
    return [
        Finding(
            "empty-split",
            "error",
            f"{kind}/{split} holds no image file",
            f"put the files of this split there, or remove the folders of '{split}'",
        )
        for split, files in survey.splits.items()
        for kind, names in (("images", files.images), ("masks", files.masks))
        if not names
    ]


def _unreadable(survey: Survey) -> list[Finding]:
    found = []
    for kind, facts in (("image", survey.images), ("mask", survey.masks)):
        places = [
            Place(below(survey.root, path), fact.fault)
            for path, fact in facts.items()
            if fact.fault
        ]
        if places:
            what = f"{number_of(len(places), kind)} cannot be read"
            partners = [*places, *_partners_of(survey, [place.file for place in places[:5]])]
            cure = f"copy or export them anew, or go on without: {set_aside(survey.root, partners)}"
            found.append(Finding.at(f"{kind}-unreadable", "error", places, what=what, cure=cure))
    return found


def _partners_of(survey: Survey, files: list[str]) -> list[Place]:
    """Return the other halves of the pairs that these files belong to."""
    return [
        Place(below(survey.root, partner))
        for split in survey.splits.values()
        for name in split.paired
        for path, partner in (
            (split.images[name][0], split.masks[name][0]),
            (split.masks[name][0], split.images[name][0]),
        )
        if below(survey.root, path) in files
    ]


def _partners(survey: Survey) -> list[Finding]:
    found = []
    for kind, lack in (("images", "mask"), ("masks", "image")):
        places = [
            Place(below(survey.root, path), f"no {lack}")
            for files in survey.splits.values()
            if files.images and files.masks
            for name, paths in getattr(files, kind).items()
            if name not in files.paired
            for path in paths
        ]
        if places:
            what = f"{number_of(len(places), kind[:-1])} without {lack}"
            cure = f"add what is missing, or go on without: {set_aside(survey.root, places)}"
            found.append(
                Finding.at(f"{kind[:-1]}-without-{lack}", "error", places, what=what, cure=cure)
            )
    return found


def _duplicates(survey: Survey) -> list[Finding]:
    twice = [
        paths
        for files in survey.splits.values()
        for names in (files.images, files.masks)
        for paths in names.values()
        if len(paths) > 1
    ]
    if not twice:
        return []
    places = [
        Place(below(survey.root, paths[0]), f"also {', '.join(path.name for path in paths[1:])}")
        for paths in twice
    ]
    surplus = [Place(below(survey.root, path)) for paths in twice for path in paths[1:]]
    what = f"{number_of(len(places), 'name')} used by more than one file"
    cure = f"keep one of each, for instance: {set_aside(survey.root, surplus)}"
    return [Finding.at("duplicate-name", "error", places, what=what, cure=cure)]


def _mask_formats(survey: Survey) -> list[Finding]:
    """Find masks that hold exact values, but are no PNG files by their name."""
    paths = [
        path
        for path, mask in survey.masks.items()
        if path.suffix.lower() != ".png" and not mask.lossy and not mask.fault
    ]
    if not paths:
        return []
    places = [Place(below(survey.root, path), "is no .png file") for path in paths]
    cure = f"{_TO_PNG} {shlex.join(map(str, paths[:5]))} && {set_aside(survey.root, places[:5])}"
    what = f"{number_of(len(places), 'mask')} not in PNG files"
    return [Finding.at("mask-not-png", "error", places, what=what, cure=cure)]


def _mismatched(survey: Survey) -> list[Finding]:
    places = [
        Place(below(survey.root, mask.path), _mismatch(image, mask))
        for split in survey.splits
        for image, mask in survey.pairs(split)
        if not image.fault and not mask.fault and image.size != mask.size
    ]
    if not places:
        return []
    what = f"{number_of(len(places), 'mask')} not of the size of the image"
    cure = "export these masks anew at the size of the upright image, without smoothing"
    return [Finding.at("size-mismatch", "error", places, what=what, cure=cure)]


def _mismatch(image: ImageFacts, mask: MaskFacts) -> str:
    turned = ", turned" if image.size == mask.size[::-1] else ""
    return f"mask {_words(mask.size)}, image {_words(image.size)}{turned}"


def _passed_over(survey: Survey) -> list[Finding]:
    paths = [path for files in survey.splits.values() for path in files.passed_over]
    if not paths:
        return []
    kinds = sorted({path.suffix.lower() or "no suffix" for path in paths})
    what = f"{number_of(len(paths), 'file')} passed over ({', '.join(kinds[:5])})"
    places = [Place(below(survey.root, path)) for path in paths]
    cure = "images are read from JPEG, PNG, WebP, TIFF and BMP, masks from PNG; convert or remove"
    return [Finding.at("passed-over", "warning", places, what=what, cure=cure)]


def _area(size: Size) -> int:
    return size[0] * size[1]


def _words(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
