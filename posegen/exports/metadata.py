"""What an exported JPEG says about itself, in EXIF: the A1111 parameters and posegen's recipe."""

from __future__ import annotations

import json

from PIL import ExifTags, Image

from posegen import __version__

_UNICODE = b"UNICODE\0"
"""Character code of a UserComment (Exif 2.32, table 9). A1111 and its readers take UTF-16, big-endian."""

_MOST_BYTES = 65_000
"""A JPEG segment ends at 65,533 bytes (ITU-T T.81, B.1.1.4)."""


def exif_block(*, parameters: str = "", recipe: str = "") -> bytes:
    """Return an EXIF block with what made the picture.

    Parameters
    ----------
    parameters : str
        In the A1111 convention, for UserComment, where the web UI and its readers look.
    recipe : str
        posegen's JSON, for ImageDescription, which holds ASCII: other characters are escaped as JSON does.

    Returns
    -------
    bytes
        For Pillow's `exif=`. What is longer than a JPEG can hold is left out, the recipe first.
    """
    for kept in ((parameters, recipe), (parameters, ""), ("", "")):
        block = _block(*kept)
        if len(block) <= _MOST_BYTES:
            break
    return block


def _block(parameters: str, recipe: str) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = f"posegen {__version__}"
    if recipe:
        exif[ExifTags.Base.ImageDescription] = _ascii_json(recipe)
    if parameters:
        comment = _UNICODE + parameters.encode("utf-16-be", "replace")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return exif.tobytes()


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
