"""From one picture to the files of many formats, each size made once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from posegen.errors import PosegenError
from posegen.exports import jpeg
from posegen.exports.background import continued
from posegen.exports.crop import Crop
from posegen.exports.formats import ExportFormat
from posegen.exports.metadata import PROFILE_NAME, exif_block, srgb_profile
from posegen.exports.resize import Part, check_pixels, joined, resize, strips
from posegen.images import encode_png
from posegen.images.metadata import PARAMETERS_KEY, RECIPE_KEY

T = TypeVar("T")

_NO_OVERHANG_PX = 0.01
"""Less than this beyond the picture is rounding."""

_MOST_HELD_PX = 3_000_000
"""Pictures up to this size (9 MB) are held for the next format or quality; larger ones are made strip by
strip, and again where a byte limit asks for another quality."""


class ByteLimitError(PosegenError):
    """A picture is larger than its format allows, in the least quality that the format allows.

    Attributes
    ----------
    size_bytes, max_bytes : int
        What it has, and what it may have.
    quality : int
        JPEG quality that it has so many bytes in; 0 where there is none.
    """

    def __init__(self, format_name: str, size_bytes: int, max_bytes: int, quality: int) -> None:
        at = f" at quality {quality}, the least that is allowed" if quality else ""
        super().__init__(f"{format_name} has {size_bytes:,} bytes{at}; its limit is {max_bytes:,} bytes")
        self.size_bytes, self.max_bytes, self.quality = size_bytes, max_bytes, quality


@dataclass(frozen=True)
class Rendered:
    """A finished export.

    Attributes
    ----------
    data : bytes
        The file.
    quality : int
        JPEG quality; 0 where there is none.
    notes : tuple of str
        What a person should know of it.
    """

    data: bytes
    quality: int
    notes: tuple[str, ...] = ()


class Renderer:
    """Makes the exports of one picture; formats that agree share the work. May be used by several threads.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB. Must not change meanwhile.
    avoid : bool array, shape (H, W), optional
        Where the figure is: no background is continued from there.
    parameters, recipe : str
        What made the picture, as its PNG says it.
    xmp : str, optional
        An XMP packet, with the IPTC digital source type.

    Raises
    ------
    ValueError
        `pixels` is not such an array.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        *,
        avoid: NDArray[np.bool_] | None = None,
        parameters: str = "",
        recipe: str = "",
        xmp: str | None = None,
    ) -> None:
        check_pixels(pixels)
        self._pixels, self._avoid = pixels, avoid
        self._parameters, self._recipe, self._xmp = parameters, recipe, xmp
        self._framed = _Once[tuple[NDArray[np.uint8], Part]](keep=2)
        self._sizes = _Once[tuple[NDArray[np.uint8], ...]](keep=2)
        self._coded = _Once[bytes](keep=16)

    def render(self, crop: Crop, export_format: ExportFormat) -> Rendered:
        """Return the picture as the file that a format asks for.

        Parameters
        ----------
        crop : Crop
            What to show, from `choose_crop`.
        export_format : ExportFormat

        Returns
        -------
        Rendered
            With profile, dpi and metadata. The same arguments give the same bytes on one installation.

        Raises
        ------
        ValueError
            The crop lies wholly outside the picture.
        ByteLimitError
            It would be too large in the least quality.
        """
        if export_format.file_type == "png":
            return self._png(crop, export_format)
        return self._jpeg(crop, export_format)

    def _jpeg(self, crop: Crop, entry: ExportFormat) -> Rendered:
        size = (entry.width, entry.height)
        exif = self._exif(entry)

        def file(quality: int) -> bytes:
            key = (crop, size, entry.chroma, quality)
            coded = self._coded.get(
                key, lambda: jpeg.encode(self._strips(crop, *size), quality=quality, chroma=entry.chroma)
            )
            return jpeg.with_segments(coded, dpi=entry.dpi, exif=exif, xmp=self._xmp, icc=srgb_profile())

        data = file(entry.quality)
        if not entry.max_bytes or len(data) <= entry.max_bytes:
            return Rendered(data, entry.quality)
        return _lowered(entry, file)

    def _png(self, crop: Crop, entry: ExportFormat) -> Rendered:
        key = (crop, entry.width, entry.height, entry.dpi)
        data = self._coded.get(key, lambda: self._encoded_png(crop, entry))
        if entry.max_bytes and len(data) > entry.max_bytes:
            raise ByteLimitError(entry.name, len(data), entry.max_bytes, 0)
        return Rendered(data, 0)

    def _encoded_png(self, crop: Crop, entry: ExportFormat) -> bytes:
        text = {PARAMETERS_KEY: self._parameters, RECIPE_KEY: self._recipe}
        return encode_png(
            joined(self._strips(crop, entry.width, entry.height), entry.width, entry.height),
            text={key: value for key, value in text.items() if value},
            xmp=self._xmp,
            dpi=entry.dpi,
            exif=self._exif(entry),
            icc=(PROFILE_NAME, srgb_profile()),
        )

    def _exif(self, entry: ExportFormat) -> bytes:
        return exif_block(
            size=(entry.width, entry.height),
            dpi=entry.dpi,
            parameters=self._parameters,
            recipe=self._recipe,
        )

    def _strips(self, crop: Crop, width: int, height: int) -> Iterable[NDArray[np.uint8]]:
        """Return the cropped picture from top to bottom, held only if that costs little memory."""
        canvas, part = self._framed.get(crop, lambda: _framed(self._pixels, crop, self._avoid))
        if width * height > _MOST_HELD_PX:
            return strips(canvas, width, height, part=part)
        return self._sizes.get((crop, width, height), lambda: tuple(strips(canvas, width, height, part=part)))


def crop_pixels(pixels: NDArray[np.uint8], crop: Crop, width: int, height: int) -> NDArray[np.uint8]:
    """Return the part of a picture that a crop names, in another size.

    Lanczos with antialiasing; beyond the picture the background is continued.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB.
    crop : Crop
        Should have the shape of `width` to `height`: another one would distort. Fractions of a pixel count.
    width, height : int
        Pixels.

    Returns
    -------
    uint8 array, shape (height, width, 3)

    Raises
    ------
    ValueError
        `pixels` is not such an array, or the crop lies wholly outside it.
    """
    canvas, part = _framed(pixels, crop)
    return resize(canvas, width, height, part=part)


def _framed(
    pixels: NDArray[np.uint8], crop: Crop, avoid: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint8], Part]:
    """Return the picture with as much background as a crop asks for, and where the crop lies in it."""
    check_pixels(pixels)
    high, wide = pixels.shape[:2]
    if crop.right <= 0 or crop.bottom <= 0 or crop.left >= wide or crop.top >= high:
        raise ValueError(f"{crop} shows nothing of a picture of {wide} x {high} pixels")
    left, top, right, bottom = (math.ceil(side - _NO_OVERHANG_PX) for side in crop.overhang(wide, high))
    canvas = continued(pixels, left, top, right, bottom, avoid) if left or top or right or bottom else pixels
    high, wide = canvas.shape[:2]
    return canvas, (
        max(0.0, crop.left + left),
        max(0.0, crop.top + top),
        min(float(wide), crop.right + left),
        min(float(high), crop.bottom + top),
    )


def _lowered(entry: ExportFormat, file: Callable[[int], bytes]) -> Rendered:
    """Return the file in the highest quality that meets the format's limit; `entry.quality` does not."""
    best: Rendered | None = None
    low, high = entry.least_quality, entry.quality - 1
    data = b""
    while low <= high:
        quality = (low + high) // 2
        data = file(quality)
        if len(data) <= entry.max_bytes:
            note = f"quality {quality} instead of {entry.quality}, to stay within {entry.max_bytes:,} bytes"
            best = Rendered(data, quality, (note,))
            low = quality + 1
        else:
            high = quality - 1
    if best is None:
        data = data or file(entry.least_quality)
        raise ByteLimitError(entry.name, len(data), entry.max_bytes, entry.least_quality)
    return best


class _Once(Generic[T]):
    """The newest values by key, each made by who asks first; others wait for it. A failure is not kept."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._values: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            making = self._locks.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = make()
            with self._lock:
                self._values[key] = value
                while len(self._values) > self._keep:
                    del self._values[next(iter(self._values))]
            return value
