"""The export formats: names, pixel sizes and how they are encoded, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileType = Literal["jpeg"]

EXTENSIONS: dict[FileType, str] = {"jpeg": "jpg"}
CONTENT_TYPES: dict[FileType, str] = {"jpeg": "image/jpeg"}


@dataclass(frozen=True)
class ExportFormat:
    """One platform's picture.

    Attributes
    ----------
    width, height : int
        Pixels.
    dpi : int
        Written into the file; 300 for print.
    file_type : {"jpeg"}
    quality : int
        JPEG quality, 1-95.
    """

    name: str
    category: str
    width: int
    height: int
    dpi: int = 72
    file_type: FileType = "jpeg"
    quality: int = 90

    @property
    def extension(self) -> str:
        """The ending of its files, without the dot."""
        return EXTENSIONS[self.file_type]

    @property
    def content_type(self) -> str:
        """MIME type."""
        return CONTENT_TYPES[self.file_type]

    @property
    def look(self) -> tuple[object, ...]:
        """What decides its pixels and bytes: formats that agree in it share one picture."""
        return self.width, self.height, self.dpi, self.file_type, self.quality


EXPORT_FORMATS: dict[str, ExportFormat] = {
    entry.name: entry
    for entry in (
        ExportFormat("instagram_post", "instagram", 1080, 1080),
        ExportFormat("instagram_story", "instagram", 1080, 1920),
        ExportFormat("instagram_reel", "instagram", 1080, 1920),
        ExportFormat("tiktok", "tiktok", 1080, 1920),
        ExportFormat("shopee", "e-commerce", 1000, 1000),
        ExportFormat("tokopedia", "e-commerce", 1000, 1000),
        ExportFormat("lazada", "e-commerce", 1000, 1000),
        ExportFormat("facebook", "social", 1200, 630),
        ExportFormat("twitter", "social", 1200, 675),
        ExportFormat("linkedin", "social", 1200, 630),
        ExportFormat("print_standard", "print", 2550, 3300, dpi=300),
        ExportFormat("print_large", "print", 3300, 5100, dpi=300),
    )
}
