"""Unpack the plainest of PNGs, such as `encode_png` writes, in a third of Pillow's time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = b"\x08\x02\0\0\0"
"""Bit depth, colour type, compression, filter, interlacing (PNG specification, third edition, 11.2.1)."""
_CHANGES_THE_PICTURE = frozenset({b"tRNS", b"eXIf", b"acTL"})
"""Transparency, orientation, animation: what Pillow should judge."""


def unpack(data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels of a plain PNG, or None for anything else, broken files too: Pillow says what it is.

    Parameters
    ----------
    data : bytes
        Judge its size before: it is unpacked whole. Plain is 8-bit RGB, not interlaced, without transparency,
        EXIF or animation, all that it says standing before its pixels.

    Returns
    -------
    uint8 array, shape (H, W, 3), or None
        Writable.
    """
    if not _is_plain(data):
        return None
    size = int.from_bytes(data[20:24]), int.from_bytes(data[16:20])
    # Slow to import, and only exports need it.
    from kornia_rs import io

    try:
        pixels: Any = io.decode_image_png_u8(data, size, "rgb")
    except Exception:  # noqa: BLE001  (the library raises no more special one)
        return None
    return np.asarray(pixels, dtype=np.uint8)


def _is_plain(data: bytes) -> bool:
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or data[24:29] != _EIGHT_BIT_RGB:
        return False
    at, pixels_begun = 8, False
    while at + 12 <= len(data):
        name = data[at + 4 : at + 8]
        if name == b"IEND":
            return pixels_begun
        if name in _CHANGES_THE_PICTURE or (pixels_begun and name != b"IDAT"):
            return False
        pixels_begun = name == b"IDAT"
        at += 12 + int.from_bytes(data[at : at + 4])
    return False
