"""Pictures as `data:` addresses, so that they are part of the page."""

import base64
import io

import numpy as np
from PIL import Image


def photo_address(image: np.ndarray, box: tuple[int, int]) -> str:
    """Return an image, (H, W, 3) uint8, shrunk into `box` (width, height), as a JPEG address.

    Example:
        >>> photo_address(np.zeros((9, 9, 3), np.uint8), (4, 4))[:23]
        'data:image/jpeg;base64,'
    """
    photo = Image.fromarray(image)
    photo.thumbnail(box)
    content = io.BytesIO()
    photo.save(content, "JPEG", quality=80, optimize=True)
    return _address("jpeg", content)


def png_address(picture: Image.Image, *, transparency: int | None = None) -> str:
    """Return a picture, pixel by pixel, as a PNG address.

    Args:
        picture: Of any mode that PNG has.
        transparency: The value of a palette image that is see-through.
    """
    content = io.BytesIO()
    options = {} if transparency is None else {"transparency": transparency}
    picture.save(content, "PNG", optimize=True, **options)
    return _address("png", content)


def _address(kind: str, content: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
