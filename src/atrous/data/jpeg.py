"""JPEG files that lack nothing but the two bytes at their end.

Some cameras and downloads leave them out. Such files hold every pixel, yet Pillow takes most of
them for truncated.
"""

import io

from PIL import Image

_END = b"\xff\xd9"
_NOISE = b"\xaa\x5b\x33\xc6" * 64  # begins with a set bit: a decoder that lacks bits assumes zeros


def load_without_end(data: bytes) -> Image.Image:
    """Decode a JPEG whose end marker is missing, if no pixel is.

    It is decoded twice, with two different continuations. A pixel whose bits are missing would
    take them from there; where the results agree, none did.

    Args:
        data: Content of the file.

    Raises:
        OSError: Pixels are missing.
    """
    data = data.rstrip(b"\xff")  # half of the marker
    image, other = (
        Image.open(io.BytesIO(data + more + _END), formats=("JPEG",)) for more in (b"", _NOISE)
    )
    if image.tobytes() != other.tobytes():
        raise OSError("pixels are missing")
    return image
