"""A grid of many pictures with captions, to look a batch over at a glance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from posegen.settings import usable_cores

Pixels = NDArray[np.uint8]
ControlMaps = Literal["beside", "inset", "none"]
_Box = tuple[int, int, int, int]  # left, top, right, bottom

PER_PAGE = 100
"""Most pictures on one sheet of `contact_sheets`."""

_PAGE, _TILE, _INK, _FAINT = "#ffffff", "#eef0f2", "#23262a", "#6b7178"
_FAILED_TILE, _FAILED_INK = "#f6ecea", "#9a3b30"
_GAP_SHARE = 0.07
_SHEET_ASPECT = 1.45
_MIN_TILE, _MAX_TILE = 96, 320
_SHEET_WIDTH = 2200  # tiles shrink from _MAX_TILE so that sheets stay about this wide
_INSET_SHARE = 0.34
_STROKE_SHARE = 0.0055  # of a tile's shorter side
_STROKE_EDGE = "#ffffff"
_SUBTITLE_LINES = 3  # a narrow sheet too says in full what must be said
_SMOOTH = 3  # lines are drawn so many times larger


@dataclass(frozen=True, eq=False)
class Strokes:
    """Lines over a picture, all of one colour: a skeleton.

    Attributes
    ----------
    segments : float array, shape (N, 2, 2)
        N lines from (x, y) to (x, y), as shares of the picture's width and height; those that are not finite
        are left out.
    color : str
    """

    segments: NDArray[np.float64]
    color: str


@dataclass(frozen=True)
class SheetItem:
    """One picture of a sheet.

    Attributes
    ----------
    pixels : uint8 array of shape (H, W, 3), a function that loads one, or None
        None where no picture was made.
    caption : str
        First line under the picture: the pose's name.
    detail : str
        Second line, fainter: view and seed.
    control_map : uint8 array of shape (H, W, 3), a function that loads one, or None
    failure : str
        Code of a failed task, shown on a plain tile when `pixels` is None.
    strokes : tuple of Strokes
        Drawn over the picture, the last on top.
    """

    pixels: Pixels | Callable[[], Pixels] | None
    caption: str = ""
    detail: str = ""
    control_map: Pixels | Callable[[], Pixels] | None = None
    failure: str = ""
    strokes: tuple[Strokes, ...] = ()


@dataclass(frozen=True)
class _Layout:
    columns: int
    rows: int
    tile: tuple[int, int]
    doubled: bool  # a control map beside each picture
    gap: int
    font: int
    header: int

    @property
    def caption(self) -> int:
        return round(self.font * 2.9)

    @property
    def cell(self) -> tuple[int, int]:
        return self.tile[0] * (2 if self.doubled else 1), self.tile[1] + self.caption

    @property
    def sheet(self) -> tuple[int, int]:
        width = self.columns * (self.cell[0] + self.gap) + self.gap
        return width, self.header + self.rows * (self.cell[1] + self.gap) + self.gap

    def corner(self, place: int) -> tuple[int, int]:
        row, column = divmod(place, self.columns)
        left = self.gap + column * (self.cell[0] + self.gap)
        return left, self.header + self.gap + row * (self.cell[1] + self.gap)


def contact_sheet(
    items: Sequence[SheetItem],
    *,
    title: str = "",
    subtitle: str = "",
    columns: int | None = None,
    tile_px: int | None = None,
    control_maps: ControlMaps = "beside",
) -> Pixels:
    """Return one sheet of all items; tiles shrink as items grow many.

    Pictures are fitted whole into their tiles, never cropped or distorted. Loaders are called from as many
    threads as there are cores, so that only so many full pictures are in memory.

    Parameters
    ----------
    items : sequence of SheetItem
        May be empty: the sheet then says so.
    title, subtitle : str
        Lines at the top.
    columns : int, optional
        Tiles in a row; by default a sheet somewhat wider than high.
    tile_px : int, optional
        Longer side of a tile; by default 320 for few items down to 96 for hundreds.
    control_maps : {"beside", "inset", "none"}
        Where an item's control map goes.

    Returns
    -------
    uint8 array, shape (H, W, 3)
    """
    doubled = control_maps == "beside" and any(item.control_map is not None for item in items)
    layout = _layout(
        len(items), _tile_aspect(items), columns, tile_px, doubled=doubled, headed=bool(title or subtitle)
    )
    sheet = ContactSheet(layout, control_maps)
    sheet.draw(dict(enumerate(items)))
    return sheet.pixels(title, subtitle)


class ContactSheet:
    """A sheet that is drawn piece by piece, as its pictures come; made by `growing`."""

    def __init__(self, layout: _Layout, control_maps: ControlMaps = "none") -> None:
        self._layout, self._control_maps = layout, control_maps
        self._sheet = Image.new("RGB", layout.sheet, _PAGE)
        self._empty = True

    @classmethod
    def growing(cls, count: int, aspect: float) -> ContactSheet:
        """Return an empty sheet for `count` pictures of about the same width over height, without maps."""
        return cls(_layout(count, min(2.0, max(0.5, aspect)), None, None, doubled=False, headed=True))

    def draw(self, items: Mapping[int, SheetItem]) -> None:
        """Draw items at their places, counted from 0 row by row. Each place is drawn once."""
        boxes = [_boxes(self._layout, self._layout.corner(place), self._control_maps) for place in items]
        with ThreadPoolExecutor(usable_cores()) as pool:
            fitted = list(pool.map(_fitted, items.values(), boxes))
        draw = ImageDraw.Draw(self._sheet)
        for (place, item), box, small in zip(items.items(), boxes, fitted, strict=True):
            _draw_tiles(self._sheet, self._layout, item, box, small)
            _draw_caption(draw, self._layout, item, self._layout.corner(place))
            self._empty = False

    def pixels(self, title: str = "", subtitle: str = "") -> Pixels:
        """Return the sheet with its header: uint8 array, shape (H, W, 3)."""
        layout, draw = self._layout, ImageDraw.Draw(self._sheet)
        _draw_header(draw, layout, title, subtitle)
        if self._empty:
            draw.text((layout.gap, layout.header + layout.gap), "no pictures", _FAINT, _font(layout.font))
        return np.array(self._sheet)


def contact_sheets(
    items: Sequence[SheetItem],
    *,
    title: str = "",
    subtitle: str = "",
    per_page: int = PER_PAGE,
    control_maps: ControlMaps = "beside",
) -> Iterator[Pixels]:
    """Yield sheets of up to `per_page` items each, as `contact_sheet`; one sheet if there are none."""
    if per_page < 1:
        raise ValueError(f"per_page must be at least 1, not {per_page}")
    pages = max(1, math.ceil(len(items) / per_page))
    for page in range(pages):
        part = items[page * per_page : (page + 1) * per_page]
        numbered = f"{title} - page {page + 1} of {pages}".removeprefix(" - ") if pages > 1 else title
        yield contact_sheet(part, title=numbered, subtitle=subtitle, control_maps=control_maps)


def _layout(
    count: int, aspect: float, columns: int | None, tile_px: int | None, *, doubled: bool, headed: bool
) -> _Layout:
    cell_aspect = aspect * (2 if doubled else 1) / 1.15  # captions make cells higher
    count = max(1, count)
    wanted = columns or round(math.sqrt(count * _SHEET_ASPECT / cell_aspect))
    columns = max(1, min(count, wanted))
    longer = tile_px or _tile_side(columns, cell_aspect)
    tile = (longer, round(longer / aspect)) if aspect >= 1 else (round(longer * aspect), longer)
    font = max(9, min(20, round(min(tile) * 0.066)))
    return _Layout(
        columns=columns,
        rows=math.ceil(count / columns),
        tile=(max(8, tile[0]), max(8, tile[1])),
        doubled=doubled,
        gap=max(6, round(longer * _GAP_SHARE)),
        font=font,
        header=round(font * (3.3 + 1.3 * _SUBTITLE_LINES)) if headed else 0,
    )


def _tile_side(columns: int, cell_aspect: float) -> int:
    fitting = _SHEET_WIDTH / columns / max(1.0, cell_aspect)
    return round(min(_MAX_TILE, max(_MIN_TILE, fitting)))


def _tile_aspect(items: Sequence[SheetItem]) -> float:
    """Return width over height of the first picture, so that batches of one size need no borders."""
    for item in items:
        if item.pixels is not None:
            height, width = _loaded(item.pixels).shape[:2]
            return float(min(2.0, max(0.5, width / height)))
    return 1.0


def _loaded(pixels: Pixels | Callable[[], Pixels]) -> Pixels:
    return pixels() if callable(pixels) else pixels


def _draw_header(draw: ImageDraw.ImageDraw, layout: _Layout, title: str, subtitle: str) -> None:
    width = layout.sheet[0] - 2 * layout.gap
    large, small = _font(round(layout.font * 1.7)), _font(layout.font)
    if title:
        draw.text((layout.gap, layout.gap), _shortened(title, large, width), _INK, large)
    if subtitle:
        top = layout.gap + (round(layout.font * 2.3) if title else 0)
        for line in _wrapped(subtitle, small, width, _SUBTITLE_LINES):
            draw.text((layout.gap, top), line, _FAINT, small)
            top += round(layout.font * 1.3)


def _boxes(layout: _Layout, corner: tuple[int, int], control_maps: ControlMaps) -> tuple[_Box, _Box | None]:
    """Return where an item's picture and its control map go."""
    width, height = layout.tile
    box = (*corner, corner[0] + width, corner[1] + height)
    if control_maps == "none":
        return box, None
    if control_maps == "beside":
        return box, (box[2], box[1], box[2] + width, box[3])
    return box, (box[2] - round(width * _INSET_SHARE), box[3] - round(height * _INSET_SHARE), box[2], box[3])


def _fitted(
    item: SheetItem, boxes: tuple[_Box, _Box | None]
) -> tuple[Image.Image | None, Image.Image | None]:
    """Return an item's picture and its control map, each as large as its box lets it be."""
    picture = None if item.pixels is None else _drawn_over(_fit(_loaded(item.pixels), boxes[0]), item.strokes)
    if item.control_map is None or boxes[1] is None:
        return picture, None
    return picture, _fit(_loaded(item.control_map), boxes[1])


def _fit(pixels: Pixels, box: _Box) -> Image.Image:
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _drawn_over(picture: Image.Image, strokes: Sequence[Strokes]) -> Image.Image:
    """Return a picture with lines over it, smooth, and edged so that they show on any ground."""
    width, height = picture.size
    thick = max(1.0, min(width, height) * _STROKE_SHARE)
    for stroke in strokes:
        lines = stroke.segments[np.isfinite(stroke.segments).all(axis=(1, 2))]
        ends = [tuple((line * (width, height) * _SMOOTH).ravel()) for line in lines]
        for color, by, opaque in ((_STROKE_EDGE, 1.8, 140), (stroke.color, 1.0, 255)):
            mask = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
            draw = ImageDraw.Draw(mask)
            for line in ends:
                draw.line(line, opaque, round(thick * by * _SMOOTH))
            picture.paste(color, mask=mask.resize(picture.size, Image.Resampling.BOX))
    return picture


def _draw_tiles(
    sheet: Image.Image,
    layout: _Layout,
    item: SheetItem,
    boxes: tuple[_Box, _Box | None],
    fitted: tuple[Image.Image | None, Image.Image | None],
) -> None:
    (box, map_box), (picture, control_map) = boxes, fitted
    if picture is None:
        draw, font = ImageDraw.Draw(sheet), _font(layout.font)
        draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), _FAILED_TILE)
        label = _shortened(item.failure or "not made", font, layout.tile[0] - 8)
        middle = (box[0] + layout.tile[0] / 2, box[1] + layout.tile[1] / 2)
        draw.text(middle, label, _FAILED_INK, font, anchor="mm")
    else:
        _paste_centred(sheet, picture, box, _TILE)
    if control_map is not None and map_box is not None:
        _paste_centred(sheet, control_map, map_box, "#000000")


def _paste_centred(sheet: Image.Image, picture: Image.Image, box: _Box, ground: str) -> None:
    width, height = box[2] - box[0], box[3] - box[1]
    if picture.size != (width, height):
        ImageDraw.Draw(sheet).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), ground)
    sheet.paste(picture, (box[0] + (width - picture.width) // 2, box[1] + (height - picture.height) // 2))


def _draw_caption(
    draw: ImageDraw.ImageDraw, layout: _Layout, item: SheetItem, corner: tuple[int, int]
) -> None:
    left, top = corner[0], corner[1] + layout.tile[1] + round(layout.font * 0.35)
    for text, ink, size in (
        (item.caption, _INK, layout.font),
        (item.detail, _FAINT, max(8, layout.font - 2)),
    ):
        font = _font(size)
        draw.text((left, top), _shortened(text, font, layout.cell[0]), ink, font)
        top += round(layout.font * 1.2)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # bundled with Pillow: no system font needed


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Return one line of text that is at most `width` pixels wide."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle] + "...") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "..."


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float, most: int
) -> Iterator[str]:
    """Yield text in lines of at most `width` pixels; the last of `most` lines is shortened to fit."""
    words = text.split()
    for number in range(most):
        if not words:
            return
        taken = 1
        while taken < len(words) and font.getlength(" ".join(words[: taken + 1])) <= width:
            taken += 1
        line = words if number == most - 1 else words[:taken]
        yield _shortened(" ".join(line), font, width)
        words = words[len(line) :]
