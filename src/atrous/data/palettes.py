"""Colours that tell classes apart."""

Color = tuple[int, int, int]


def default_palette(num_colors: int) -> tuple[Color, ...]:
    """Return distinct colours, in the order that Pascal VOC made customary.

    Bit 3j of the class number becomes the j-th highest bit of red, bit 3j + 1 of green and
    bit 3j + 2 of blue, so that neighbours differ strongly.

    Args:
        num_colors: How many colours, at most 256.

    Returns:
        RGB colours, 0 to 255; the first is black.

    Raises:
        ValueError: More than 256 colours are asked for; from there on the colours repeat.

    Example:
        >>> default_palette(3)
        ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    """
    if not 0 <= num_colors <= 256:
        raise ValueError(f"num_colors must be 0 to 256, got {num_colors}")
    return tuple((_channel(i), _channel(i >> 1), _channel(i >> 2)) for i in range(num_colors))


def _channel(number: int) -> int:
    """Return the bits 0, 3 and 6 of a number as the highest bits of a byte, bit 0 on top."""
    return sum((number >> 3 * j & 1) << 7 - j for j in range(3))
