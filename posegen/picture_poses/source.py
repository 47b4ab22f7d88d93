"""The picture a pose is taken from: read, upright, and small enough for an estimator."""

from __future__ import annotations

import hashlib
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.errors import ImageDataError, PictureError
from posegen.images.codec import MAX_BYTES, MAX_PIXELS, opened, pixels_of

LONGEST_SIDE_PX = 1280
"""Larger pictures are made smaller first: estimators look at 256 pixels of a person."""
SHORTEST_SIDE_PX = 32
MOST_PIXELS = 170_000_000
"""Of a JPEG, which need not be unpacked whole; Pillow opens nothing above 179 million."""


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """A picture as it was given.

    Attributes
    ----------
    name : str
        Of its file, without the folder; "" if it is none.
    sha256 : str
        Of the file's bytes, or of the pixels if there is no file.
    width, height : int
        Upright, in pixels.
    pixels : uint8 array, shape (H, W, 3)
        Upright; no side is longer than `LONGEST_SIDE_PX`.
    """

    name: str
    sha256: str
    width: int
    height: int
    pixels: NDArray[np.uint8]

    @property
    def scale(self) -> float:
        """How many of its own pixels one of `pixels` stands for."""
        return self.width / float(self.pixels.shape[1])


def read_source(picture: str | Path | bytes | NDArray[np.uint8]) -> SourcePicture:
    """Read a PNG, JPEG or WebP file, its bytes, or pixels: grey, RGB or RGBA.

    Raises
    ------
    PictureError
        There is no such file, it is no picture, or one too large or too small.
    """
    if isinstance(picture, np.ndarray):
        return _source("", _as_bytes(picture), _as_rgb(picture))
    data, shown, name = picture, "the picture", ""
    if not isinstance(data, bytes):
        path = Path(data)
        shown, name = str(path), path.name
        try:
            data = _read(path, shown)
        except FileNotFoundError as exc:
            raise PictureError("there is no such file", picture=shown) from exc
        except OSError as exc:
            raise PictureError(f"cannot be read: {exc.strerror or exc}", picture=shown) from exc
    try:
        pixels, size = _decoded(data)
    except ImageDataError as exc:
        raise PictureError(str(exc), picture=shown) from exc
    return _source(name, data, pixels, shown, size)


def _decoded(data: bytes) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return a picture's pixels and its own width and height, upright.

    A JPEG of hundreds of megapixels is unpacked at a half, a quarter or an eighth of its size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limits follow
        with opened(data, max_pixels=MOST_PIXELS) as image:
            size = image.size
            image.draft(None, (2 * LONGEST_SIDE_PX, 2 * LONGEST_SIDE_PX))
            if image.width * image.height > MAX_PIXELS:
                raise ImageDataError(
                    f"the picture has {size[0]} x {size[1]} pixels; at most {MAX_PIXELS:,} are allowed, in a "
                    f"JPEG {MOST_PIXELS:,}"
                )
            pixels = pixels_of(image)
    turned = (pixels.shape[1] > pixels.shape[0]) != (size[0] > size[1])
    return pixels, (size[1], size[0]) if turned else size


def _read(path: Path, shown: str) -> bytes:
    """Return a file's bytes; what has no end, or is larger than any picture we open, is not read."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise PictureError("is no file", picture=shown)
    if found.st_size > MAX_BYTES:
        raise PictureError(f"has {found.st_size:,} bytes; at most {MAX_BYTES:,} are allowed", picture=shown)
    return path.read_bytes()


def _source(
    name: str,
    data: bytes,
    pixels: NDArray[np.uint8],
    shown: str = "the picture",
    size: tuple[int, int] | None = None,
) -> SourcePicture:
    width, height = size or (pixels.shape[1], pixels.shape[0])
    if min(width, height) < SHORTEST_SIDE_PX:
        problem = f"it has {width} x {height} pixels; each side must have at least {SHORTEST_SIDE_PX}"
        raise PictureError(problem, picture=shown)
    share = LONGEST_SIDE_PX / max(width, height)
    if share < 1:
        small = max(1, round(width * share)), max(1, round(height * share))
        pixels = np.asarray(Image.fromarray(pixels).resize(small, Image.Resampling.BICUBIC, reducing_gap=2.0))
    return SourcePicture(name, hashlib.sha256(data).hexdigest(), width, height, pixels)


def _as_bytes(pixels: NDArray[np.uint8]) -> bytes:
    return np.ascontiguousarray(pixels).tobytes()


def _as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colours = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or colours not in (1, 3, 4) or 0 in pixels.shape:
        problem = (
            "pixels must be a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {pixels.dtype} of shape {pixels.shape}"
        )
        raise PictureError(problem, picture="the picture")
    if colours == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if colours == 3:
        return pixels
    layer = Image.fromarray(pixels)
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, layer).convert("RGB"))
