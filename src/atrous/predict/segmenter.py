"""The one line of Python: a model by its name, and pictures of any kind."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image, ImageOps

from atrous.data.images import read_image
from atrous.errors import DataError, UsageError
from atrous.fast.engines import Engine, ParallelEngine
from atrous.fast.engines.exported import ExportedModel, is_exported
from atrous.models import SegmentationModel
from atrous.predict.engine import check_words, open_model, pick_engine
from atrous.predict.in_order import in_order
from atrous.predict.label_image import label_image
from atrous.predict.segmentation import Segmentation

Photo = str | Path | Image.Image | np.ndarray

_MANY = 16  # photographs that pay for an engine of their own
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


class Segmenter:
    """Segment photographs of any size with one model.

    Args:
        model: A name that `atrous models` lists, a model file, a file of `atrous export` (`.onnx`,
            `.xml`), or a network. A network stays as it is, and its weights are taken as they are
            now; only the engine `torch` computes the network itself, and moves it to the device.
        device: `auto` (the best there is), `cpu`, `cuda`, `cuda:1` or `mps`.
        engine: What computes the network: `torch`, `optimized`, `compiled`, `onnxruntime`,
            `openvino`; or `auto`: `optimized`, and for sizes of which there are many pictures
            whatever is faster here.
        precision: `fp32`; or `bf16`, which is faster on processors with instructions for it, and
            gives some pixels between two classes the other one.
        output_stride: Image pixels per cell of the deepest map: 4, 8, 16 or 32; by default as the
            model was trained. Smaller is slower, and can be more exact. Of a model by its name or
            from its file; a network has a method `set_output_stride`.

    Raises:
        UsageError: The model's name, the device, the engine, the precision or the output stride is
            unknown, or they do not go together.
        MissingExtraError: The engine is not installed.
        DataError: The model file is missing, or is none.

    Example:
        >>> segmenter = Segmenter("camvid-lite0", device="cpu")
        >>> segmenter(np.zeros((120, 160, 3), dtype=np.uint8)).labels.shape
        (120, 160)
    """

    def __init__(
        self,
        model: str | Path | SegmentationModel | ExportedModel,
        *,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "fp32",
        output_stride: int | None = None,
    ) -> None:
        if not is_exported(model):
            check_words(engine, device=device, precision=precision)
        if isinstance(model, str | Path):
            network = open_model(model, output_stride=output_stride)
        elif output_stride is None:
            network = model
        else:
            raise UsageError(
                "output_stride is of a model by its name or from its file; set that of a network "
                f"by model.set_output_stride({output_stride})"
            )
        self.engine = pick_engine(engine, network, device=device, precision=precision)
        self._engine_for_many: ParallelEngine | None = None  # opened when many come
        self.classes, self.palette = network.classes, network.palette
        self._align_corners = network.blueprint.conventions.align_corners

    @overload
    def __call__(self, photo: Photo) -> Segmentation: ...
    @overload
    def __call__(self, photo: Sequence[Photo]) -> list[Segmentation]: ...
    def __call__(self, photo: Photo | Sequence[Photo]) -> Segmentation | list[Segmentation]:
        """Segment one photograph, or each of a list.

        Args:
            photo: A file, a PIL image, an (H, W, 3) uint8 RGB array, or a list of these. Files
                and PIL images are turned upright as their EXIF orientation says.

        Returns:
            One result as large as the upright photograph, or a list of them.

        Raises:
            UsageError: Not a picture, or an array of another shape or type.
            DataError: The file is missing, or is not a whole picture.
        """
        if not isinstance(photo, list | tuple):
            return self._segmentation(self.engine, _pixels(photo))
        found = []
        for one in self.each(photo):
            if isinstance(one, DataError):
                raise one
            found.append(one)
        return found

    def each(self, photos: Sequence[Photo]) -> Iterator[Segmentation | DataError]:
        """Segment many photographs in their order, holding few at a time.

        While one is computed, the next is read; and an engine that can computes several at once.

        Args:
            photos: As when the segmenter is called.

        Returns:
            A result for each; or the error, where a file is missing or is not a whole picture.

        Raises:
            UsageError: One is no picture, or an array of another shape or type.

        Example:
            >>> segmenter = Segmenter("camvid-lite0", device="cpu")
            >>> [result] = segmenter.each(["missing.jpg"])
            >>> print(result)
            missing.jpg: cannot be read (No such file or directory); check path and rights
        """
        engine, at_once = self.engine, 1
        if isinstance(engine, ParallelEngine) and len(photos) >= _MANY:
            engine = self._engine_for_many = self._engine_for_many or engine.for_many()
            at_once = engine.at_once

        def compute(image: np.ndarray | DataError) -> Segmentation | DataError:
            if isinstance(image, DataError):
                return image
            return self._segmentation(engine, image)

        yield from in_order(photos, read=_pixels_or_error, compute=compute, at_once=at_once)

    def _segmentation(self, engine: Engine, image: np.ndarray) -> Segmentation:
        labels = label_image(engine, image, align_corners=self._align_corners).cpu().numpy()
        if labels.dtype != np.uint8:  # torch's own wide type is no type of image files
            labels = labels.astype(np.uint16)
        return Segmentation(image, labels, self.classes, self.palette)


def _pixels_or_error(photo: object) -> np.ndarray | DataError:
    try:
        return _pixels(photo)
    except DataError as error:
        return error


def _pixels(photo: object) -> np.ndarray:
    """Return the picture as (H, W, 3) uint8 RGB, upright."""
    if isinstance(photo, str | Path):
        return read_image(photo)
    if isinstance(photo, Image.Image):
        return _check_array(_pixels_of_image(photo))
    if isinstance(photo, np.ndarray):
        return _check_array(photo)
    raise UsageError(
        f"expected a file name, a PIL image or an (H, W, 3) uint8 array, got {type(photo).__name__}"
    )


def _pixels_of_image(image: Image.Image) -> np.ndarray:
    if image.mode not in _EIGHT_BIT_MODES:
        raise UsageError(
            f"a PIL image of 8 bits per channel was expected, got mode {image.mode!r}; "
            "scale its values to 0..255 first, or give the name of its file"
        )
    try:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(image, "filename", "") or "image"
        raise DataError(f"{name}: is truncated or corrupt ({error}); fetch it anew") from error


def _check_array(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise UsageError(
            f"expected an array of uint8 values 0 to 255, got {array.dtype}; "
            "for values 0 to 1 use (255 * array).round().astype('uint8')"
        )
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise UsageError(
            f"expected an (H, W, 3) RGB array, got shape {array.shape}; for grey pictures use "
            "np.stack([array] * 3, axis=-1), for several pictures a list, for (3, H, W) "
            "array.transpose(1, 2, 0)"
        )
    return array
