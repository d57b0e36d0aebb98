import base64
import io

import numpy as np
from PIL import Image

from atrous.page.picture import photo_address, png_address


def _opened(address, kind):
    head, _, content = address.partition(",")
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_photo_is_shrunk_into_its_box():
    photo = np.full((100, 400, 3), (200, 90, 10), np.uint8)
    picture = _opened(photo_address(photo, (200, 200)), "jpeg")
    assert picture.size == (200, 50)
    assert np.abs(np.array(picture).astype(int) - (200, 90, 10)).max() < 8


def test_a_png_keeps_every_pixel():
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    picture = _opened(png_address(Image.fromarray(values)), "png")
    assert np.array_equal(np.array(picture), values)


def test_a_value_of_a_palette_image_can_be_seen_through():
    picture = Image.fromarray(np.array([[0, 255]], np.uint8))
    picture.putpalette([9, 9, 9] * 256)
    alpha = np.array(_opened(png_address(picture, transparency=255), "png").convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[255, 0]]
