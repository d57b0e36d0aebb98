import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atrous.data.images import decode_image
from atrous.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, size=(250, 350, 3), dtype=np.uint8)
PICTURES = {
    "small": Image.fromarray(NOISE[:12, :20]),
    "noise": Image.fromarray(NOISE),
    "smooth": Image.fromarray(NOISE[:5, :7]).resize((350, 250)),
    "grey": Image.fromarray(NOISE[:, :, 0]),
}


def jpeg(name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PICTURES[name].save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(name: str, progressive: bool, cut: int) -> None:
    data = jpeg(name, progressive=progressive)
    assert np.array_equal(decode_image(data[:-cut], "a.jpg"), decode_image(data, "a.jpg"))


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.1, 0.5])
def test_a_jpeg_that_lacks_pixels_is_refused(name: str, progressive: bool, share: float) -> None:
    data = jpeg(name, progressive=progressive)
    cut = 4 + int(share * len(data))
    with pytest.raises(DataError, match=r"a.jpg: is truncated or corrupt"):
        decode_image(data[:-cut], "a.jpg")


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_accepted_is_right_to_the_last_pixel(name: str) -> None:
    data = jpeg(name)
    whole = decode_image(data, "a.jpg")
    accepted = 0
    for cut in range(1, 40):
        try:
            pixels = decode_image(data[:-cut], "a.jpg")
        except DataError:
            continue
        accepted += 1
        assert np.array_equal(pixels, whole)
    assert accepted >= 2


def test_the_orientation_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg("noise", exif=exif)
    assert np.array_equal(decode_image(data[:-2], "a.jpg"), decode_image(data, "a.jpg"))
