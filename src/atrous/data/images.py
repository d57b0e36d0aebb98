"""Reading pictures and masks: every pixel right, or an error that names the file.

Only the formats below are ever opened, whatever a file is called, so that no other decoder sees
untrusted bytes. A truncated file is an error, never half a picture.
"""

import glob
import io
import itertools
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from atrous.data.jpeg import load_without_end
from atrous.errors import DataError, ResourceError

MAX_PIXELS = 100_000_000
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
_LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")
_WORDS = "JPEG, PNG, WebP, TIFF or BMP"
_EXIF_ORIENTATION = 0x0112
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_MASK_MODES = {"1": "1", "L": "L", "LA": "L", "P": "P", "PA": "P"}  # all others are colours
# How files begin that people often take for one of ours.
_OTHER_KINDS = {
    b"GIF8": "a GIF",
    b"%PDF": "a PDF",
    b"%!PS": "an EPS or PostScript file",
    b"8BPS": "a Photoshop file",
    b"<": "HTML, SVG or other text",
    b"{": "JSON text",
}


class FoundImage(NamedTuple):
    """A file to read, and its name below the folder that was searched."""

    path: Path
    name: Path


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a picture, turned upright.

    Grey, palette and CMYK pictures become RGB, 16-bit grey is scaled to 8 bits, transparency is
    dropped.

    Args:
        path: A JPEG, PNG, WebP, TIFF or BMP file of one frame, whatever its suffix.
        max_pixels: A picture of more pixels is refused before it is decoded; Pillow itself
            refuses those above 178 million.

    Returns:
        (H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Raises:
        DataError: The file is missing, not a regular file, empty, of another format, truncated,
            corrupt, animated or too large.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "photo.png"
        >>> Image.new("L", (4, 3)).save(file)
        >>> read_image(file).shape
        (3, 4, 3)
    """
    with _open(Path(path)) as file:
        return _decode_image(file, str(path), max_pixels)


def decode_image(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture that is in memory, as `read_image` does.

    Args:
        data: Content of an image file.
        name: What errors call it.
        max_pixels: As for `read_image`.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> Image.new("L", (4, 3)).save(file, "PNG")
        >>> decode_image(file.getvalue(), "upload").shape
        (3, 4, 3)
    """
    if not data:
        raise DataError(f"{name}: is empty; write or copy it anew")
    return _decode_image(io.BytesIO(data), name, max_pixels)


def read_mask(path: str | Path) -> np.ndarray:
    """Read the values of a mask as they are stored; an EXIF orientation is not applied.

    Returns:
        (H, W) uint8 or uint16 grey levels or palette indices; 0 and 1 for a 1-bit mask; or
        (H, W, 3) uint8 for a colour mask.

    Raises:
        DataError: As for `read_image`, and for formats that can alter values (JPEG, WebP).

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "mask.png"
        >>> Image.new("L", (4, 3), 7).save(file)
        >>> read_mask(file).max()
        np.uint8(7)
    """
    with _open(Path(path)) as file, _named_faults(file, str(path)):
        return _raw_values(_load(file, str(path), MAX_PIXELS), str(path))


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """Read the values of a mask from its bytes, as `read_mask` does; `name` stands in errors."""
    file = io.BytesIO(data)
    with _named_faults(file, name):
        return _raw_values(_load(file, name, MAX_PIXELS), name)


def find_images(inputs: Sequence[str | Path]) -> list[FoundImage]:
    """List the files that a user means by files, folders and glob patterns.

    A folder stands for all image files in and below it, in order of their names; hidden files and
    files with other suffixes are passed over. A pattern may hold `*`, `?`, `[...]` and `**`, and
    stands for all files that it matches but the hidden ones.

    Returns:
        Each file once. Its `name` is its path below the given folder, or below the fixed part of
        a pattern; the bare file name where the file itself was given.

    Raises:
        DataError: An input does not exist, or a folder or pattern yields no image.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (4, 3)).save(folder / "a.png")
        >>> [str(found.name) for found in find_images([folder])]
        ['a.png']
    """
    found: dict[Path, FoundImage] = {}
    for item in inputs:
        for image in _find(str(item)):
            found.setdefault(image.path, image)
    return list(found.values())


def images_below(folder: Path) -> list[Path]:
    """Return the paths of all image files in and below a folder, sorted, hidden ones left out."""
    paths = _visible_files(folder, "**/*")
    return [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]


def _visible_files(root: Path, pattern: str) -> list[Path]:
    return sorted(
        path
        for path in root.glob(pattern)
        if not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def _find(item: str) -> list[FoundImage]:
    path = Path(item)
    if path.is_dir():
        root, paths = path, images_below(path)
    elif path.exists() or not glob.has_magic(item):
        return [_existing(path)]
    else:
        fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
        root = Path(*fixed)
        paths = _visible_files(root, str(Path(*path.parts[len(fixed) :])))
    if not paths:
        raise DataError(f"{item}: holds no image; expected files of {', '.join(IMAGE_SUFFIXES)}")
    return [FoundImage(found, found.relative_to(root)) for found in paths]


def _existing(path: Path) -> FoundImage:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check the spelling")
    return FoundImage(path, Path(path.name))


def _open(path: Path) -> IO[bytes]:
    """Open a file of some length; a pipe or device, which could block for ever, is an error."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise DataError(f"{path}: is a folder, pipe or device; give an image file")
        if facts.st_size == 0:
            raise DataError(f"{path}: is empty; copy or make it anew")
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check path and rights"
        ) from None


def _decode_image(file: IO[bytes], name: str, max_pixels: int) -> np.ndarray:
    with _named_faults(file, name):
        image = _load(file, name, max_pixels)
        pixels = _rgb(image, name)
        turn = _UPRIGHT.get(_orientation(image))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _load(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """Decode the one frame of an image file; judge the header before the pixels."""
    image = Image.open(file, formats=_FORMATS)
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{name}: has {width} x {height} pixels, more than {max_pixels:,}; make it smaller"
        )
    # The further frames of an MPO, which many phones write, are previews and depth maps.
    if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"{name}: has {frames} frames or pages; save the wanted one alone")
    try:
        image.load()
    except OSError:
        if image.format != "JPEG":
            raise
        file.seek(0)
        return load_without_end(file.read())
    return image


@contextmanager
def _named_faults(file: IO[bytes], name: str) -> Iterator[None]:
    """Turn whatever goes wrong in a decoder into an error that names the file."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of damaged metadata, which we do not need, and of sizes, which we check.
            warnings.filterwarnings("ignore", module="PIL")
            yield
    except (DataError, ResourceError):
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{name}: is {_kind(file)}, expected a {_WORDS} image; convert it or copy it anew"
        ) from None
    except Image.DecompressionBombError:
        raise DataError(f"{name}: has far too many pixels; make it smaller") from None
    except MemoryError:
        raise ResourceError(f"{name}: memory ran out while decoding; make it smaller") from None
    except Exception as error:  # a decoder can raise anything on hostile bytes
        raise DataError(f"{name}: is truncated or corrupt; copy or export it anew") from error


def _kind(file: IO[bytes]) -> str:
    """Guess from the first bytes what a file that is no image of ours may be."""
    file.seek(0)
    head = file.read(32).lstrip()
    if head[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    kinds = (kind for start, kind in _OTHER_KINDS.items() if head.startswith(start))
    return next(kinds, "of an unknown kind or damaged")


def _rgb(image: Image.Image, name: str) -> np.ndarray:
    """Return the pixels of any mode that we read as (H, W, 3) uint8."""
    if image.mode in _SIXTEEN_BIT_MODES:
        grey = np.asarray(image).astype(np.uint32)
        grey = ((grey + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    _check_eight_bit(image, name)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _raw_values(image: Image.Image, name: str) -> np.ndarray:
    """Return the stored values of a mask: (H, W), or (H, W, 3) for colours."""
    if image.format in _LOSSY_FORMATS:
        raise DataError(
            f"{name}: is a {image.format}, which alters the values of a mask; make it anew as PNG"
        )
    if image.mode in _SIXTEEN_BIT_MODES:
        return np.asarray(image).astype(np.uint16)
    _check_eight_bit(image, name)
    kept = _MASK_MODES.get(image.mode, "RGB")
    return np.asarray(image if image.mode == kept else image.convert(kept)).astype(np.uint8)


def _check_eight_bit(image: Image.Image, name: str) -> None:
    if image.mode not in _EIGHT_BIT_MODES:
        raise DataError(
            f"{name}: has pixels of mode {image.mode}, expected 8 or 16 bits grey, RGB or CMYK; "
            "convert it to an 8-bit PNG"
        )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is absent or cannot be read."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged metadata does not make the pixels worse
        return 1
