"""What an export says about itself: A1111 parameters, posegen's recipe, resolution and colours."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import lru_cache

from PIL import ExifTags, Image, ImageCms

from posegen import __version__

PROFILE_NAME = "sRGB"

_UNICODE = b"UNICODE\0"
"""Character code of a UserComment (Exif 2.32, table 9). A1111 and its readers take UTF-16, big-endian."""

_MOST_BYTES = 65_000
"""A JPEG segment ends at 65,533 bytes (ITU-T T.81, B.1.1.4)."""

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
"""Types of TIFF fields (TIFF 6.0, section 2)."""

_EXIF_IFD = 0x8769


def exif_block(*, size: tuple[int, int], dpi: int, parameters: str = "", recipe: str = "") -> bytes:
    """Return an EXIF block with what made the picture.

    Written here and not by Pillow, which gives a UserComment a type that Exif does not allow.

    Parameters
    ----------
    size : (int, int)
        Width and height in pixels.
    dpi : int
        Also here: a reader that finds EXIF may look nowhere else.
    parameters : str
        In the A1111 convention, for UserComment, where the web UI and its readers look.
    recipe : str
        posegen's JSON, for ImageDescription, which holds ASCII: other characters are escaped as JSON does.

    Returns
    -------
    bytes
        A TIFF structure. What is longer than a JPEG can hold is left out, the recipe first.
    """
    for kept in ((parameters, recipe), (parameters, ""), ("", "")):
        block = _block(size, dpi, *kept)
        if len(block) <= _MOST_BYTES:
            break
    return block


def _block(size: tuple[int, int], dpi: int, parameters: str, recipe: str) -> bytes:
    tags = ExifTags.Base
    # What Exif 2.32, table 4, asks of every JPEG, and in UserComment and ImageDescription our words.
    picture = [
        (tags.XResolution, _RATIONAL, struct.pack(">II", dpi, 1)),
        (tags.YResolution, _RATIONAL, struct.pack(">II", dpi, 1)),
        (tags.ResolutionUnit, _SHORT, struct.pack(">H", 2)),  # inches
        (tags.Software, _ASCII, f"posegen {__version__}\0".encode("ascii", "replace")),
        (tags.YCbCrPositioning, _SHORT, struct.pack(">H", 1)),  # centred, as JFIF has it
    ]
    details = [
        (tags.ExifVersion, _UNDEFINED, b"0232"),
        (tags.ComponentsConfiguration, _UNDEFINED, b"\1\2\3\0"),  # Y, Cb, Cr
        (tags.FlashPixVersion, _UNDEFINED, b"0100"),
        (tags.ColorSpace, _SHORT, struct.pack(">H", 1)),  # sRGB
        (tags.ExifImageWidth, _LONG, struct.pack(">I", size[0])),
        (tags.ExifImageHeight, _LONG, struct.pack(">I", size[1])),
    ]
    if recipe:
        picture.append((tags.ImageDescription, _ASCII, _ascii_json(recipe).encode() + b"\0"))
    if parameters:
        comment = _UNICODE + parameters.encode("utf-16-be", "replace")
        details.append((tags.UserComment, _UNDEFINED, comment))
    header = b"MM\0*" + struct.pack(">I", 8)
    # The second directory begins where the first ends, which holds the pointer to it.
    start = 8 + len(_directory([*picture, (_EXIF_IFD, _LONG, bytes(4))], 8))
    first = _directory([*picture, (_EXIF_IFD, _LONG, struct.pack(">I", start))], 8)
    return header + first + _directory(details, start)


def _directory(entries: Sequence[tuple[int, int, bytes]], start: int) -> bytes:
    """Return a TIFF directory that begins at `start`: entries by tag, then what does not fit into them."""
    lengths = {_ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _UNDEFINED: 1}
    table, values = struct.pack(">H", len(entries)), b""
    after = start + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries):
        table += struct.pack(">HHI", tag, kind, len(value) // lengths[kind])
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(">I", after + len(values))
            values += value + b"\0" * (len(value) % 2)  # values begin at even places
    return table + b"\0\0\0\0" + values


def _ascii_json(text: str) -> str:
    """Return JSON with everything beyond ASCII escaped; other text with "?" in its place."""
    try:
        return json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)
    except ValueError:
        return text.encode("ascii", "replace").decode()


def read_exif(exif: Image.Exif) -> tuple[str, str]:
    """Return the A1111 parameters and the recipe of an exported picture; empty for what it lacks."""
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    known = isinstance(comment, bytes) and comment.startswith(_UNICODE)
    parameters = comment.removeprefix(_UNICODE).decode("utf-16-be", "replace") if known else ""
    return parameters, str(exif.get(ExifTags.Base.ImageDescription, ""))


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07ea 0001 0001 0000 0000 0000")  # when it was made (ICC.1:2022, 7.2.8)
    return bytes(profile)
