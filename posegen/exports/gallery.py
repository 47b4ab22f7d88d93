"""A page that shows exported pictures: HTML with its style and script inside, and no address of elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from PIL import Image

from posegen.exports.formats import ExportFormat

THUMBNAIL_HEIGHT = 360
"""Pixels: twice what the page shows, for screens of two pixels to one."""

MOST_THUMBNAIL_WIDTH = 720
THUMBNAIL_QUALITY = 80

_PAGE = Path(__file__).with_name("gallery_page")


@dataclass(frozen=True)
class Tile:
    """A picture in one format.

    Attributes
    ----------
    file, thumbnail : str
        Paths from the page; empty if the picture is not there.
    size_bytes : int
    width, height, quality : int
        Quality is 0 where there is none.
    notes : tuple of str
        What a person should know, or why the picture is not there.
    """

    format: ExportFormat
    file: str
    thumbnail: str
    size_bytes: int
    width: int
    height: int
    quality: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """An image in all its formats.

    Attributes
    ----------
    number : int
        Its place in the plan, from 1.
    pose : str
        Its pose's id, or "text".
    view : str
        In words; empty without a pose.
    prompt : str
        The user's words.
    """

    number: int
    pose: str
    view: str
    seed: int
    prompt: str
    tiles: tuple[Tile, ...]


def thumbnail(data: bytes) -> bytes:
    """Return a small JPEG of a picture; `data` must be a picture that posegen itself encoded."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (MOST_THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT))  # JPEG: decodes an eighth of it
        small = picture.convert("RGB")
    small.thumbnail((MOST_THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY, optimize=True)
    return buffer.getvalue()


def gallery_page(
    title: str, facts: Sequence[str], notes: Sequence[str], cards: Sequence[Card]
) -> Iterator[str]:
    """Yield the page piece by piece; every text in it is escaped.

    Parameters
    ----------
    title : str
    facts, notes : sequence of str
        Lines below the title, and what must be said wherever the pictures are shown.
    cards : sequence of Card
    """
    formats = list({tile.format.name: tile.format for card in cards for tile in card.tiles}.values())
    before, after = Template(_read("page.html")).substitute(
        title=escape(title),
        style=_read("style.css") + "".join(map(_format_style, formats)),
        script=_read("script.js"),
        facts=" · ".join(map(escape, facts)),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        poses="".join(_options(card.pose for card in cards)),
        formats="".join(map(_format_box, formats)),
        cards="\0",
    ).split("\0")  # fmt: skip
    yield before
    yield from map(_card, cards)
    yield after


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _format_style(one: ExportFormat) -> str:
    """Return the rules of a format: its shape, its safe area, and how it is hidden."""
    safe = one.safe_area
    inset = " ".join(
        f"{100 * covered / side:.3f}%"
        for covered, side in (
            (safe.top, one.height), (safe.right, one.width),
            (safe.bottom, one.height), (safe.left, one.width),
        )
    )  # fmt: skip
    return (
        f".f-{one.name} {{ --w: {one.width}; --h: {one.height} }}\n"
        f".f-{one.name} .safe {{ inset: {inset} }}\n"
        f".hide-{one.name} .tile.f-{one.name} {{ display: none }}\n"
    )


def _format_box(one: ExportFormat) -> str:
    return (
        f'<label class="chip" title="{one.width} × {one.height}">'
        f'<input type="checkbox" name="format" value="{one.name}" checked><span>{one.name}</span></label>'
    )


def _options(poses: Iterable[str]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for pose in poses:
        counts[pose] = counts.get(pose, 0) + 1
    for pose, count in sorted(counts.items()):
        yield f'<option value="{escape(pose)}">{escape(_words(pose))} ({count})</option>'


def _card(card: Card) -> str:
    details = " · ".join(filter(None, (card.view, f"seed {card.seed}")))
    prompt = f'<p class="prompt">{escape(card.prompt)}</p>' if card.prompt else ""
    shown = ", ".join(filter(None, (_words(card.pose), card.view, f"seed {card.seed}")))
    tiles = "".join(_tile(tile, shown) for tile in card.tiles)
    return (
        f'<article class="card" data-pose="{escape(card.pose)}">'
        f"<h2>{card.number}. {escape(_words(card.pose))} "
        f'<small>{escape(details)}</small></h2>{prompt}<ul class="tiles">{tiles}</ul></article>\n'
    )


def _tile(tile: Tile, shown: str) -> str:
    name = tile.format.name
    notes = "".join(f'<p class="tile-note">{escape(note)}</p>' for note in tile.notes)
    if not tile.file:
        return (
            f'<li class="tile f-{name}">'
            '<span class="frame gone" role="img" aria-label="not there">not there</span>'
            f'<p class="name">{name}</p>{notes}</li>'
        )
    facts = [f"{tile.width} × {tile.height}", file_size(tile.size_bytes)]
    if tile.quality:
        facts.append(f"quality {tile.quality}")
    said = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f'<li class="tile f-{name}"><a href="{escape(tile.file)}"><span class="frame">'
        f'<img src="{escape(tile.thumbnail)}" alt="{escape(shown)}, as {name}" '
        f'loading="lazy" decoding="async" width="{tile.width}" height="{tile.height}">'
        f"{_safe(tile.format)}</span></a>"
        f'<p class="name">{name}</p><p class="facts">{said}</p>{_covered(tile.format)}{notes}</li>'
    )


def _safe(one: ExportFormat) -> str:
    return '<span class="safe"></span>' if _sides(one) else ""


def _covered(one: ExportFormat) -> str:
    sides = _sides(one)
    return f'<p class="covered">covered: {", ".join(sides)} px</p>' if sides else ""


def _sides(one: ExportFormat) -> list[str]:
    return [f"{side} {covered}" for side, covered in one.safe_area.model_dump().items() if covered]


def _words(pose: str) -> str:
    return pose.replace("_", " ")


def file_size(count: int) -> str:
    """Return a number of bytes for people.

    >>> file_size(812), file_size(312_400), file_size(2_140_000)
    ('1 KB', '312 KB', '2.1 MB')
    """
    if count < 999_500:
        return f"{max(1, round(count / 1000))} KB"
    return f"{count / 1e6:.1f} MB" if count < 999_500_000 else f"{count / 1e9:.1f} GB"
