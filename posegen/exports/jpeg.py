"""JPEG files made strip by strip, and the segments that say what they show.

libjpeg-turbo encodes each strip by itself; the strips become one picture with restart markers between them,
where the coder starts anew. Not a pixel differs from a picture encoded in one piece, which a print takes
50 MB for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import simplejpeg

from posegen.exports.resize import Pixels

Chroma = Literal["4:2:0", "4:4:4"]

MOST_SEGMENT_BYTES = 65_533
"""What a segment can hold besides the two bytes of its length (ITU-T T.81, B.1.1.4)."""

_MCU_PX: dict[Chroma, int] = {"4:2:0": 16, "4:4:4": 8}
"""Side of the blocks that are coded together (ITU-T T.81, A.2.3)."""

_SOI, _EOI, _SOF0, _SOS, _DRI, _APP0, _APP1, _APP2 = 0xD8, 0xD9, 0xC0, 0xDA, 0xDD, 0xE0, 0xE1, 0xE2
_RST0 = 0xD0
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_PIXELS_PER_INCH = 1


class _Strip(NamedTuple):
    """One strip's file, taken apart."""

    tables: bytes
    frame: bytes
    scan: bytes
    coded: bytes


def encode(strips: Iterable[Pixels], *, quality: int, chroma: Chroma) -> bytes:
    """Return a baseline JPEG of the strips below one another, without any metadata.

    Parameters
    ----------
    strips : iterable of uint8 arrays, shape (h, W, 3)
        All as high as the first, a multiple of 16 rows; the last may be lower. Taken one at a time.
    quality : int
        1-100, as libjpeg counts it.
    chroma : {"4:2:0", "4:4:4"}

    Raises
    ------
    ValueError
        There are no strips, or one is of another width, or of a height that does not fit.
    """
    coded: list[bytes] = []
    first: _Strip | None = None
    high = wide = total = 0
    for pixels in strips:
        height, width = pixels.shape[:2]
        if first is None:
            high, wide = height, width
        if height > high or width != wide or (coded and (high % 16 or total != high * len(coded))):
            raise ValueError("all strips but the last must be equally wide and high, a multiple of 16 rows")
        strip = _taken_apart(simplejpeg.encode_jpeg(pixels, quality, "RGB", chroma.replace(":", "")))
        first = first or strip
        coded.append(strip.coded)
        total += height
    if first is None:
        raise ValueError("there are no strips")
    side = _MCU_PX[chroma]
    interval = -(-wide // side) * (high // side)
    return b"".join(
        [
            bytes((0xFF, _SOI)),
            first.tables,
            # SOF0: precision, height, width, components (B.2.2)
            first.frame[:5] + struct.pack(">H", total) + first.frame[7:],
            _segment(_DRI, struct.pack(">H", interval)) if len(coded) > 1 else b"",
            first.scan,
            _joined(coded),
            bytes((0xFF, _EOI)),
        ]
    )


def _taken_apart(data: bytes) -> _Strip:
    """Return the parts of a baseline JPEG with one scan."""
    tables, frame, at = b"", b"", 2
    while True:
        marker, length = struct.unpack_from(">xBH", data, at)
        segment = data[at : at + 2 + length]
        at += 2 + length
        if marker == _SOS:
            return _Strip(tables, frame, segment, data[at:-2])
        if marker == _SOF0:
            frame = segment
        elif marker != _APP0:
            # What stands before the frame may stand behind it: order matters only before the scan (B.2.4).
            tables += segment


def _joined(coded: Sequence[bytes]) -> bytes:
    parts = [coded[0]]
    for number, strip in enumerate(coded[1:]):
        parts += [bytes((0xFF, _RST0 + number % 8)), strip]
    return b"".join(parts)


def with_segments(jpeg: bytes, *, dpi: int, exif: bytes = b"", xmp: str | None = None, icc: bytes) -> bytes:
    """Return a JPEG of `encode` with its metadata: JFIF, EXIF, XMP, ICC, in this order.

    Parameters
    ----------
    jpeg : bytes
        Has none yet.
    dpi : int
        1-65,535.
    exif : bytes
        A TIFF structure; empty for none.
    xmp : str, optional
        A packet.
    icc : bytes
        A profile that fits into one segment.

    Raises
    ------
    ValueError
        One of them is too long for its segment.

    References
    ----------
    JFIF 1.02 (ITU-T T.871, 10.1); Exif 2.32, 4.5.4; XMP part 3, 1.1.3; ICC.1:2022, B.4.
    """
    # Version 1.2, units, density across and down, no thumbnail.
    jfif = b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, _PIXELS_PER_INCH, dpi, dpi, 0, 0)
    segments = [_segment(_APP0, jfif)]
    if exif:
        segments.append(_segment(_APP1, _EXIF + exif.removeprefix(_EXIF)))
    if xmp is not None:
        segments.append(_segment(_APP1, _XMP + xmp.encode()))
    segments.append(_segment(_APP2, _ICC + b"\1\1" + icc))  # the first of one
    return b"".join([jpeg[:2], *segments, jpeg[2:]])


def _segment(marker: int, body: bytes) -> bytes:
    if len(body) > MOST_SEGMENT_BYTES:
        raise ValueError(f"a JPEG segment holds {MOST_SEGMENT_BYTES:,} bytes, not {len(body):,}")
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
