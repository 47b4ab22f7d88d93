"""From a picture and a crop to the bytes of an export."""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from posegen.exports.background import continued
from posegen.exports.crop import Crop
from posegen.exports.formats import ExportFormat
from posegen.exports.metadata import exif_block

_NO_OVERHANG_PX = 0.01
"""Less than this beyond the picture is rounding."""


def crop_pixels(pixels: NDArray[np.uint8], crop: Crop, width: int, height: int) -> NDArray[np.uint8]:
    """Return the part of a picture that a crop names, in another size.

    Lanczos with antialiasing; beyond the picture the background is continued.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB.
    crop : Crop
        Should have the shape of `width` to `height`: another one would distort.
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
    return np.asarray(_cropped(pixels, crop, width, height))


def _cropped(pixels: NDArray[np.uint8], crop: Crop, width: int, height: int) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"pixels must be a uint8 array of shape (H, W, 3), not {pixels.dtype} of shape {pixels.shape}"
        )
    high, wide = pixels.shape[:2]
    if crop.right <= 0 or crop.bottom <= 0 or crop.left >= wide or crop.top >= high:
        raise ValueError(f"{crop} shows nothing of a picture of {wide} x {high} pixels")
    left, top, right, bottom = (math.ceil(side - _NO_OVERHANG_PX) for side in crop.overhang(wide, high))
    canvas = continued(pixels, left, top, right, bottom)
    high, wide = canvas.shape[:2]
    box = (
        max(0.0, crop.left + left),
        max(0.0, crop.top + top),
        min(float(wide), crop.right + left),
        min(float(high), crop.bottom + top),
    )
    return Image.fromarray(canvas).resize((width, height), Image.Resampling.LANCZOS, box=box)


def render_export(
    pixels: NDArray[np.uint8],
    crop: Crop,
    export_format: ExportFormat,
    *,
    parameters: str = "",
    recipe: str = "",
    xmp: str | None = None,
) -> bytes:
    """Return a picture as the file that a format asks for.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB.
    crop : Crop
        What to show, from `choose_crop`.
    export_format : ExportFormat
    parameters, recipe : str
        What made the picture, as its PNG says it; for EXIF.
    xmp : str, optional
        An XMP packet, with the IPTC digital source type.

    Returns
    -------
    bytes
        With an sRGB profile and its dpi. The same arguments give the same bytes on one Pillow.

    Raises
    ------
    ValueError
        As `crop_pixels`.
    """
    picture = _cropped(pixels, crop, export_format.width, export_format.height)
    buffer = io.BytesIO()
    picture.save(
        buffer,
        "JPEG",
        quality=export_format.quality,
        dpi=(export_format.dpi, export_format.dpi),
        icc_profile=srgb_profile(),
        exif=exif_block(parameters=parameters, recipe=recipe),
        **({"xmp": xmp.encode()} if xmp is not None else {}),
    )
    return buffer.getvalue()


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07ea 0001 0001 0000 0000 0000")  # when it was made (ICC.1:2022, 7.2.8)
    return bytes(profile)
