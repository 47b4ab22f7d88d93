"""Encode, decode and shrink pictures with Pillow."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from posegen.errors import ImageDataError

FORMATS = ("PNG", "JPEG", "WEBP")
"""What `decode` opens; with all formats on, a broken file cost 654 MiB and 7.6 s, with these 81 MiB."""

MAX_BYTES = 64 * 1024 * 1024
"""Longest file `decode` looks at."""

MAX_PIXELS = 64_000_000
"""Most pixels `decode` unpacks; below Pillow's own bomb warning (89 million), so that ours comes first."""

THUMBNAIL_CENTERING = (0.5, 0.2)
"""Where the cover crop sits (0: left or top, 1: right or bottom): the floor is cut before the head."""

_BAND_ROWS = 64
"""Rows of a PNG that are filtered at a time."""

_XMP_KEY = "XML:com.adobe.xmp"
_MAX_KEYWORD_LENGTH = 79  # PNG specification, third edition, 11.3.3.2

# Beyond what Pillow documents, broken EXIF, ICC and chunk data surface as these.
_DECODER_FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    NotImplementedError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    MemoryError,
    UserWarning,  # what Pillow says of broken EXIF, where warnings are errors
)


def encode_png(
    pixels: NDArray[np.uint8],
    *,
    text: Mapping[str, str] | None = None,
    xmp: str | None = None,
    compress_level: int | None = None,
    dpi: int | None = None,
    exif: bytes | None = None,
    icc: tuple[str, bytes] | None = None,
) -> bytes:
    """Return `pixels` as a PNG file with an sRGB chunk or a profile.

    One filter for all rows (Average) and zlib's run-length strategy: on 1024x1024 pictures, rendered and
    photo-like with grain, 7-30 ms where Pillow at level 1 takes 20-100, and files as small or smaller. The
    same arguments give the same bytes on one zlib.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB.
    text : mapping of str to str, optional
        Textual chunks: tEXt where the value is Latin-1, iTXt otherwise. NUL characters, which neither may
        hold, are dropped; lone surrogates become "?".
    xmp : str, optional
        An XMP packet, for the iTXt chunk "XML:com.adobe.xmp".
    compress_level : int, optional
        A zlib level of 0-9 for smaller files in more time; None is the run-length strategy.
    dpi : int, optional
        Dots per inch, for the pHYs chunk, which counts in metres.
    exif : bytes, optional
        A TIFF structure, for the eXIf chunk.
    icc : (str, bytes), optional
        Name and bytes of an ICC profile, in place of the sRGB chunk: a PNG has one or the other.

    Raises
    ------
    ValueError
        `pixels` is not such an array, or a text key is not 1-79 printable Latin-1 characters.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025.
    """
    _check_pixels(pixels)
    height, width = pixels.shape[:2]
    packed = zlib.compressobj(
        1 if compress_level is None else compress_level,
        memLevel=9,
        strategy=zlib.Z_RLE if compress_level is None else zlib.Z_FILTERED,
    )
    chunks = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        _colour_chunk(icc),
        *([_chunk(b"pHYs", struct.pack(">IIB", *[round(dpi / 0.0254)] * 2, 1))] if dpi is not None else []),
        *([_chunk(b"eXIf", exif)] if exif is not None else []),
        *(_text_chunk(key, value) for key, value in (text or {}).items()),
        *([_text_chunk(_XMP_KEY, xmp, unicode=True)] if xmp is not None else []),
        _chunk(b"IDAT", b"".join(packed.compress(rows) for rows in _filtered(pixels)) + packed.flush()),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _colour_chunk(icc: tuple[str, bytes] | None) -> bytes:
    if icc is None:
        return _chunk(b"sRGB", b"\0")  # rendering intent: perceptual
    name, profile = icc
    return _chunk(b"iCCP", name.encode("latin-1") + b"\0\0" + zlib.compress(profile))


def _text_chunk(key: str, value: str, *, unicode: bool = False) -> bytes:
    _check_keyword(key)
    storable = value.replace("\0", "").encode("utf-8", "replace")
    if not unicode:
        with contextlib.suppress(UnicodeEncodeError):
            return _chunk(b"tEXt", key.encode("latin-1") + b"\0" + storable.decode().encode("latin-1"))
    # Not compressed, no language, no translated key.
    return _chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + storable)


def _filtered(pixels: NDArray[np.uint8]) -> Iterator[memoryview]:
    """Return the bytes of a PNG's image data: each row after its filter's number, 3 for Average.

    Some rows at a time: the work needs several times their memory, and stays in the processor's cache.
    """
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, width * 3)
    above = np.zeros((1, width * 3), np.uint8)
    for start in range(0, height, _BAND_ROWS):
        band = rows[start : start + _BAND_ROWS]
        left = np.zeros_like(band)
        left[:, 3:] = band[:, :-3]
        up = np.concatenate([above, band[:-1]])
        above = band[-1:]
        filtered = np.empty((len(band), width * 3 + 1), np.uint8)
        filtered[:, 0] = 3
        # floor((left + up) / 2) without leaving 8 bits
        np.subtract(band, (left & up) + ((left ^ up) >> 1), out=filtered[:, 1:])
        yield filtered.data


def thumbnail_jpeg(pixels: NDArray[np.uint8], size: int = 400, *, quality: int = 85) -> bytes:
    """Return a `size` x `size` JPEG of `pixels`: cover crop, never distorted, antialiased.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        sRGB. A smaller picture is enlarged.
    size : int
        Side in pixels.
    quality : int
        JPEG quality, 1-95.

    Raises
    ------
    ValueError
        `pixels` is not such an array, or `size` is under 1.
    """
    _check_pixels(pixels)
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    height, width = pixels.shape[:2]
    side = min(height, width)
    left = round((width - side) * THUMBNAIL_CENTERING[0])
    top = round((height - side) * THUMBNAIL_CENTERING[1])
    # reducing_gap=1: whole-number box reduction first, then bicubic. 0.4 of Lanczos' time, 50 dB from it.
    small = Image.fromarray(pixels).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=1.0
    )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the picture in `data`, bytes that nobody vouches for.

    The first frame, upright by its EXIF orientation, transparency flattened on white.

    Parameters
    ----------
    data : bytes
        A PNG, JPEG or WebP file.
    max_bytes, max_pixels : int
        Anything larger is refused before it is unpacked.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        Writable, sRGB assumed.

    Raises
    ------
    ImageDataError
        The bytes are empty, too long, too many pixels, of another format, or broken.
    """
    with opened(data, max_bytes=max_bytes, max_pixels=max_pixels) as image:
        return pixels_of(image)


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return what `decode` does of a picture that is `opened`."""
    image.load()
    return np.array(_as_rgb(_upright(image)))


@contextlib.contextmanager
def opened(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open untrusted bytes with `decode`'s limits; every fault inside the block is an ImageDataError."""
    if not data:
        raise ImageDataError("the picture is empty (0 bytes)")
    if len(data) > max_bytes:
        raise ImageDataError(f"the picture has {len(data):,} bytes; at most {max_bytes:,} are allowed")
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageDataError(
                    f"the picture has {width} x {height} pixels; at most {max_pixels:,} are allowed"
                )
            yield image
    except UnidentifiedImageError as exc:
        raise ImageDataError(f"not a PNG, JPEG or WebP picture (it starts with {data[:12]!r})") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ImageDataError(f"the picture unpacks to too many pixels: {exc}") from exc
    except _DECODER_FAULTS as exc:
        raise ImageDataError(f"the picture is broken: {type(exc).__name__}: {exc}") from exc


def _upright(image: Image.Image) -> Image.Image:
    try:
        # exif_transpose copies even what lies upright.
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        return ImageOps.exif_transpose(image)
    except _DECODER_FAULTS:  # broken EXIF leaves a good picture as it lies
        return image


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Pillow's own conversion clips 16-bit greys to white instead of scaling them.
        greys = np.asarray(image, dtype=np.float64) / 257.0
        return Image.fromarray(greys.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_pixels(pixels: NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"pixels must be a uint8 array of shape (H, W, 3), not {pixels.dtype} of shape {pixels.shape}"
        )


def _check_keyword(key: str) -> None:
    printable = all(32 <= ord(c) <= 126 or 161 <= ord(c) <= 255 for c in key)
    if not printable or not 1 <= len(key) <= _MAX_KEYWORD_LENGTH or key != key.strip():
        raise ValueError(
            f"a PNG text key is 1-{_MAX_KEYWORD_LENGTH} printable Latin-1 characters, not {key!r}"
        )
