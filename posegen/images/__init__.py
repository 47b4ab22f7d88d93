"""Pictures as bytes and back: encode, decode untrusted bytes, thumbnail, metadata, contact sheet.

Arrays are (H, W, 3) uint8, sRGB, top row first.
"""

from posegen.images.codec import MAX_BYTES, decode, encode_png, thumbnail_jpeg
from posegen.images.contact_sheet import ContactSheet, SheetItem, Strokes, contact_sheet, contact_sheets
from posegen.images.metadata import (
    ImageMetadata,
    Recipe,
    SourceKind,
    a1111_parameters,
    digital_source_type_xmp,
    png_text,
    read_metadata,
    read_picture,
    recipe_json,
)
from posegen.images.palette import control_map_png

__all__ = [
    "MAX_BYTES",
    "ContactSheet",
    "ImageMetadata",
    "Recipe",
    "SheetItem",
    "SourceKind",
    "Strokes",
    "a1111_parameters",
    "contact_sheet",
    "contact_sheets",
    "control_map_png",
    "decode",
    "digital_source_type_xmp",
    "encode_png",
    "png_text",
    "read_metadata",
    "read_picture",
    "recipe_json",
    "thumbnail_jpeg",
]
