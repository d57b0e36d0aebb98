import contextlib
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from atrous.data.images import FoundImage, decode_image, find_images, read_image, read_mask
from atrous.errors import DataError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, size=(12, 20, 3), dtype=np.uint8)
PHOTO = Image.fromarray(PIXELS)
GREY = Image.fromarray(PIXELS[:, :, 0])


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that claims a size, with next to no pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + chunk(b"IEND", b"")


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def with_flipped_bit(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 16]) + data[position + 1 :]


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)


PNG, JPEG = encoded(PHOTO, "PNG"), encoded(PHOTO, "JPEG", quality=95)

# What is in the file, what it is called, and what the error must say of it.
BAD_FILES = {
    "empty": (b"", "a.jpg", "is empty"),
    "web page": (b"\n<!DOCTYPE html><html>404</html>", "a.jpg", "is HTML, SVG or other text"),
    "svg": (b'<svg width="9" height="9"/>', "a.png", "is HTML, SVG or other text"),
    "json": (b'{"error": "not found"}', "a.jpg", "is JSON text"),
    "plain text": (b"hello", "a.jpg", "is of an unknown kind or damaged"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "a.png",
        "is an EPS",
    ),
    "pdf": (b"%PDF-1.7\n", "a.png", "is a PDF"),
    "photoshop": (b"8BPS\0\1" + bytes(40), "a.png", "is a Photoshop file"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(40), "a.jpg", "is a HEIC, AVIF or video file"),
    "gif": (encoded(GREY, "GIF"), "a.png", "is a GIF"),
    "animated gif": (animation("GIF"), "a.gif", "is a GIF"),
    "animated webp": (animation("WEBP"), "a.webp", "has 3 frames or pages"),
    "animated png": (animation("PNG"), "a.png", "has 3 frames or pages"),
    "tiff of pages": (animation("TIFF"), "a.tif", "has 3 frames or pages"),
    "half a jpeg": (half(JPEG), "a.jpg", "is truncated or corrupt"),
    "half a png": (half(PNG), "a.png", "is truncated or corrupt"),
    "half a tiff": (half(encoded(PHOTO, "TIFF")), "a.tif", "truncated|unknown kind or damaged"),
    "half a bmp": (half(encoded(PHOTO, "BMP")), "a.bmp", "is truncated or corrupt"),
    "half a webp": (half(encoded(PHOTO, "WEBP")), "a.webp", "truncated|unknown kind or damaged"),
    "flipped bit": (with_flipped_bit(PNG, len(PNG) // 2), "a.png", "is truncated or corrupt"),
    "bomb": (png_of_size(13_000, 13_000), "a.png", "has 13000 x 13000 pixels, more than 100,000"),
    "larger bomb": (png_of_size(65_535, 65_535), "a.png", "has far too many pixels"),
    "largest bomb": (png_of_size(2**31 - 1, 2**31 - 1), "a.png", "has far too many pixels"),
    "no width": (png_of_size(0, 9), "a.png", "unknown kind or damaged"),
    "text bomb": (
        png_of_size(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000)))),
        "a.png",
        "is truncated or corrupt",
    ),
    "float tiff": (
        encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
        "a.tif",
        "has pixels of mode F",
    ),
    "32-bit tiff": (
        encoded(Image.fromarray(np.ones((4, 4), np.int32)), "TIFF"),
        "a.tif",
        "has pixels of mode I,",
    ),
}


@pytest.mark.parametrize("door", [read_image, read_mask])
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named(case: str, door: Callable[[Path], np.ndarray], tmp_path: Path) -> None:
    content, name, message = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        door(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert re.search(r"\n|0x|<_io", str(caught.value)) is None


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_bytes_are_named(case: str) -> None:
    content, _, message = BAD_FILES[case]
    with pytest.raises(DataError, match=f"^upload 7: .*({message})"):
        decode_image(content, "upload 7")


@pytest.mark.parametrize("door", [read_image, read_mask])
def test_what_is_no_file_is_never_opened(
    door: Callable[[Path], np.ndarray], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for ever
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(DataError, match=f"{name}: is a folder, pipe or device"):
            door(tmp_path / name)
    with pytest.raises(DataError, match=r"none.png: cannot be read \(No such file"):
        door(tmp_path / "none.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
@given(position=st.floats(0, 1, exclude_max=True), cut=st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_damaged_bytes_end_in_pixels_or_a_named_error(
    kind: str, position: float, cut: bool
) -> None:
    data = encoded(PHOTO, kind)
    place = int(position * len(data))
    damaged = data[:place] if cut else with_flipped_bit(data, place)
    with contextlib.suppress(DataError):  # any other exception fails the test
        pixels = decode_image(damaged, "upload")
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


def test_the_largest_size_can_be_chosen(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=240).shape == (12, 20, 3)
    with pytest.raises(
        DataError, match=r"a.png: has 20 x 12 pixels, more than 239; make it smaller"
    ):
        read_image(tmp_path / "a.png", max_pixels=239)


def test_pillow_does_not_warn_of_sizes_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # of 240: it warns, which fails a test
    assert decode_image(PNG, "a.png").shape == (12, 20, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_pictures_are_read_exactly(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"  # what is inside counts, not what it is called
    path.write_bytes(encoded(PHOTO, kind))
    assert np.array_equal(read_image(path), PIXELS)


def test_pixels_may_be_changed_and_lie_in_one_piece() -> None:
    pixels = decode_image(PNG, "a.png")
    pixels[0, 0] = 7
    assert pixels.flags.c_contiguous


def test_grey_is_repeated() -> None:
    assert np.array_equal(decode_image(encoded(GREY, "PNG"), "a"), PIXELS[:, :, [0, 0, 0]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    deep = np.linspace(0, 65535, 4096).round().astype(np.uint16).reshape(64, 64)
    pixels = decode_image(encoded(Image.fromarray(deep), kind), "a").astype(float)
    assert (pixels[0, 0, 0], pixels[-1, -1, 0]) == (0, 255)
    assert abs(pixels - (deep / 257)[:, :, None]).max() <= 0.5


def test_cmyk_has_the_right_colours() -> None:
    smooth = PHOTO.resize((4, 4)).resize((64, 64))
    pixels = decode_image(encoded(smooth.convert("CMYK"), "JPEG", quality=95), "a")
    assert abs(pixels.mean((0, 1)) - np.asarray(smooth).mean((0, 1))).max() < 2


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_transparency_is_dropped(alpha: int) -> None:
    clear = PHOTO.copy()
    clear.putalpha(alpha)
    assert np.array_equal(decode_image(encoded(clear, "PNG"), "a"), PIXELS)
    grey = GREY.copy()
    grey.putalpha(alpha)
    assert np.array_equal(decode_image(encoded(grey, "PNG"), "a"), PIXELS[:, :, [0, 0, 0]])


@pytest.mark.parametrize("transparency", [1, bytes([0, 128, 255, 7])])
def test_palette_with_transparency_keeps_its_colours(transparency: int | bytes) -> None:
    colors = np.array([(9, 8, 7), (200, 0, 0), (0, 150, 0), (1, 2, 3)], dtype=np.uint8)
    indices = RANDOM.integers(0, 4, size=(6, 5), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colors.tobytes())
    pixels = decode_image(encoded(image, "PNG", transparency=transparency), "a")
    assert np.array_equal(pixels, colors[indices])


def test_one_bit_is_black_and_white() -> None:
    bits = PIXELS[:, :, 0] > 99
    pixels = decode_image(encoded(Image.fromarray(bits), "PNG"), "a")
    assert np.array_equal(pixels[:, :, 1], np.where(bits, 255, 0))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_orientation_turns_the_picture_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PHOTO, kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    pixels = decode_image(data, "a")
    assert pixels.shape == ((20, 12, 3) if orientation in (5, 6, 7, 8) else (12, 20, 3))
    assert np.array_equal(pixels, np.asarray(upright))
    assert pixels.flags.c_contiguous


def test_damaged_exif_does_no_harm() -> None:
    data = encoded(PHOTO, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xffrubbish")
    assert np.array_equal(decode_image(data, "a"), decode_image(JPEG, "a"))


def test_of_a_phone_picture_with_previews_the_main_one_is_read() -> None:
    data = encoded(PHOTO, "MPO", quality=95, save_all=True, append_images=[GREY])
    assert np.array_equal(decode_image(data, "a"), decode_image(JPEG, "a"))


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_mask_values_are_read_as_stored(mode: str, kind: str, tmp_path: Path) -> None:
    raw = RANDOM.integers(0, 12, size=(6, 5), dtype=np.uint8)
    image = Image.fromarray(raw)
    if mode == "P":
        image.putpalette(RANDOM.bytes(36))
    path = tmp_path / "a.png"
    path.write_bytes(encoded(image, kind))
    assert read_mask(path).dtype == np.uint8
    assert np.array_equal(read_mask(path), raw)


def test_sixteen_bit_mask_values_are_read_as_stored(tmp_path: Path) -> None:
    raw = RANDOM.integers(0, 65536, size=(6, 5), dtype=np.uint16)
    Image.fromarray(raw).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").dtype == np.uint16
    assert np.array_equal(read_mask(tmp_path / "a.png"), raw)


def test_one_bit_mask_holds_zeros_and_ones(tmp_path: Path) -> None:
    bits = PIXELS[:, :, 0] > 99
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").dtype == np.uint8
    assert np.array_equal(read_mask(tmp_path / "a.png"), bits)


def test_grey_mask_loses_its_alpha_only(tmp_path: Path) -> None:
    clear = GREY.copy()
    clear.putalpha(7)
    clear.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), PIXELS[:, :, 0])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_mask_is_read_as_colours(mode: str, tmp_path: Path) -> None:
    PHOTO.convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_masks_are_refused_whatever_their_name(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(GREY, kind))
    with pytest.raises(DataError, match=f"a.png: is a {kind}, which alters the values .* as PNG"):
        read_mask(tmp_path / "a.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as people have them: nested, with other files and hidden ones between."""
    for name in ("b.JPG", "a.png", "sub/c.tiff", "sub/deep/d.webp", "notes.txt", "._a.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    (tmp_path / "photos" / ".cache").mkdir()
    (tmp_path / "photos" / ".cache" / "e.png").write_bytes(PNG)
    (tmp_path / "photos" / "folder.png").mkdir()
    return tmp_path / "photos"


def test_a_folder_stands_for_all_pictures_below_it(photos: Path) -> None:
    names = ["a.png", "b.JPG", "sub/c.tiff", "sub/deep/d.webp"]
    assert find_images([photos]) == [FoundImage(photos / name, Path(name)) for name in names]


def test_a_file_is_called_by_its_own_name(photos: Path) -> None:
    path = photos / "sub" / "deep" / "d.webp"
    assert find_images([str(path)]) == [FoundImage(path, Path("d.webp"))]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.png"]),
        ("**/*.[tw][ie]*", ["sub/c.tiff", "sub/deep/d.webp"]),
        ("s?b/*.tiff", ["sub/c.tiff"]),
    ],
)
def test_a_pattern_names_files_below_its_fixed_part(
    photos: Path, pattern: str, names: list[str]
) -> None:
    found = find_images([f"{photos}/{pattern}"])
    assert found == [FoundImage(photos / name, Path(name)) for name in names]


def test_a_relative_pattern(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert find_images(["*.png"]) == [FoundImage(Path("a.png"), Path("a.png"))]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "holiday[1].png"
    path.write_bytes(PNG)
    assert find_images([path]) == [FoundImage(path, Path("holiday[1].png"))]


def test_a_file_that_is_given_twice_is_found_once(photos: Path) -> None:
    found = find_images([photos / "b.JPG", photos, f"{photos}/*.png"])
    assert [image.path.name for image in found] == ["b.JPG", "a.png", "c.tiff", "d.webp"]


def test_a_bad_file_in_a_folder_is_not_passed_over(photos: Path) -> None:
    os.mkfifo(photos / "pipe.png")
    (photos / "dangling.png").symlink_to(photos / "gone.png")
    names = {str(image.name) for image in find_images([photos])}
    assert {"pipe.png", "dangling.png"} <= names


def test_a_loop_of_links_ends(photos: Path) -> None:
    (photos / "sub" / "again").symlink_to(photos)
    assert len(find_images([photos])) == 4


@pytest.mark.parametrize("item", ["nothing.jpg", "no/such/folder"])
def test_what_does_not_exist_is_named(item: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{item}: no such file or folder"):
        find_images([tmp_path / item])


def test_a_folder_or_pattern_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none here")
    for item in (tmp_path, f"{tmp_path}/*.jpg"):
        with pytest.raises(DataError, match=r"holds no image; expected files of .jpg, .jpeg"):
            find_images([item])
