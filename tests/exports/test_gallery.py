from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from posegen.exports.formats import EXPORT_FORMATS, ExportFormat, SafeArea
from posegen.exports.gallery import Card, Tile, gallery_page, thumbnail

NASTY = "<script>alert(1)</script> & \"quoted\" 'single' </title>"


class Page(HTMLParser):
    """Notes every element with its attributes, and that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def tile(one: ExportFormat, **values: object) -> Tile:
    given = {
        "file": f"files/{one.name}/1.jpg",
        "thumbnail": "thumbnails/a.jpg",
        "size_bytes": 312_400,
        "width": one.width,
        "height": one.height,
        "quality": 88,
    }
    return Tile(one, **{**given, **values})  # type: ignore[arg-type]


def card(number: int, *tiles: Tile, pose: str = "walking_stride", prompt: str = "") -> Card:
    return Card(number, pose, "yaw 45, mirrored", 7, prompt, tiles)


def page(*cards: Card, title: str = "Exports of r", notes: tuple[str, ...] = ()) -> str:
    return "".join(gallery_page(title, ["2 images"], notes, cards))


def test_each_picture_is_a_link_with_a_lazy_thumbnail_and_words_for_it() -> None:
    formats = list(EXPORT_FORMATS.values())
    read = Page(page(card(1, *map(tile, formats)), card(2, *map(tile, formats), pose="text")))
    images = read.of("img", loading="lazy")
    assert len(images) == 24
    assert images[0]["alt"] == "walking stride, yaw 45, mirrored, seed 7, as instagram_post"
    assert (images[0]["width"], images[0]["height"]) == ("1080", "1080")
    assert [link["href"] for link in read.of("a", href="files/tiktok/1.jpg")] == ["files/tiktok/1.jpg"] * 2
    assert [box["value"] for box in read.of("input", name="format")] == list(EXPORT_FORMATS)
    assert [option["value"] for option in read.of("option")] == ["", "text", "walking_stride"]
    said = " ".join(read.texts)
    assert "1080 × 1920" in said
    assert "312 KB" in said
    assert "quality 88" in said
    area = EXPORT_FORMATS["tiktok"].safe_area
    covered = f"left {area.left}, top {area.top}, right {area.right}, bottom {area.bottom}"
    assert f"covered: {covered} px" in said


def test_nothing_of_elsewhere_is_asked_for() -> None:
    text = page(card(1, tile(EXPORT_FORMATS["tiktok"])))
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:|//)", text)
    assert "@import" not in text
    (policy,) = Page(text).of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'")
    for attributes in (attributes for _, attributes in Page(text).elements):
        assert not any(name.startswith("on") for name in attributes), "the policy allows no such handlers"


def test_every_text_is_escaped() -> None:
    text = page(
        card(1, tile(EXPORT_FORMATS["tiktok"], notes=(NASTY,)), pose=NASTY, prompt=NASTY),
        title=NASTY,
        notes=(NASTY,),
    )
    assert "<script>alert" not in text
    read = Page(text)
    assert len(read.of("script")) == 1
    assert sum(NASTY in said for said in read.texts) >= 4
    assert read.of("article")[0]["data-pose"] == NASTY


def test_the_safe_area_is_drawn_where_the_format_says() -> None:
    one = ExportFormat(
        name="mine", width=200, height=400, safe_area=SafeArea(left=10, top=40, right=20, bottom=100)
    )
    text = page(card(1, tile(one), tile(EXPORT_FORMATS["instagram_post"])))
    assert ".f-mine .safe { inset: 10.000% 10.000% 25.000% 5.000% }" in text
    read = Page(text)
    assert len(read.of("span", **{"class": "safe"})) == 2, "one on the picture, one in the viewer"
    assert ".hide-mine .tile.f-mine { display: none }" in text


def test_a_picture_that_is_not_there_says_why() -> None:
    read = Page(
        page(card(1, tile(EXPORT_FORMATS["tiktok"], file="", thumbnail="", notes=("SOURCE_MISSING: gone",))))
    )
    assert not read.of("img", loading="lazy")
    assert "SOURCE_MISSING: gone" in read.texts


def test_what_can_be_operated_has_a_name() -> None:
    read = Page(page(card(1, tile(EXPORT_FORMATS["tiktok"]))))
    assert read.of("html")[0]["lang"] == "en"
    assert read.of("a", href="#pictures", **{"class": "skip"})
    assert all(attributes.get("aria-label") or attributes.get("id") for attributes in read.of("button"))
    assert [meta["content"] for meta in read.of("meta", name="color-scheme")] == ["light dark"]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(("size", "small"), [((3300, 5100), (233, 360)), ((1200, 630), (686, 360))])
def test_a_thumbnail_is_small_and_keeps_its_shape(
    form: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), (40, 120, 200), np.uint8)).save(buffer, form)
    with Image.open(io.BytesIO(thumbnail(buffer.getvalue()))) as made:
        assert made.size == small
        assert made.format == "JPEG"
        assert np.abs(np.asarray(made).astype(int) - (40, 120, 200)).max() < 6
