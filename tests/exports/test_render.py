import io
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from posegen.exports import render as render_module
from posegen.exports import resize as resize_module
from posegen.exports.crop import Crop, Figure, choose_crop
from posegen.exports.formats import EXPORT_FORMATS, ExportFormat
from posegen.exports.metadata import exif_block, read_exif, srgb_profile
from posegen.exports.render import ByteLimitError, Renderer, crop_pixels
from posegen.images import decode

SMALL = ExportFormat(name="small", width=90, height=160)
RED = (220, 30, 30)


def scene(box, width=200, height=200, ground=(190, 185, 180)):
    """Return a plain background with a red rectangle, and its box."""
    pixels = np.full((height, width, 3), ground, np.uint8)
    left, top, right, bottom = box
    pixels[top : bottom + 1, left : right + 1] = RED
    return pixels, box


def grain():
    """Return a picture that compresses badly."""
    return np.random.default_rng(3).integers(60, 200, (200, 200, 3), dtype=np.uint8)


def red_size(pixels):
    """Return how wide and how high the red rectangle is."""
    red = (pixels[..., 0].astype(int) - pixels[..., 1]) > 95
    return red.any(axis=0).sum(), red.any(axis=1).sum()


@pytest.mark.parametrize("box", [(20, 80, 180, 120), (90, 20, 110, 180), (70, 70, 130, 130)])
@pytest.mark.parametrize("size", [(90, 160), (192, 100), (100, 100)])
def test_the_figure_is_whole_and_not_distorted(box, size):
    pixels, box = scene(box)
    crop = choose_crop((200, 200), size, Figure(box))
    wide, high = red_size(crop_pixels(pixels, crop, *size))
    scale = size[0] / crop.width
    assert wide == pytest.approx((box[2] - box[0] + 1) * scale, abs=1.5)
    assert high == pytest.approx((box[3] - box[1] + 1) * scale, abs=1.5)


def test_a_wide_figure_in_a_high_format_stands_on_continued_background_without_bars():
    pixels, box = scene((20, 80, 180, 120))
    crop = choose_crop((200, 200), (90, 160), Figure(box))
    assert crop.overhang(200, 200)[1] > 40
    out = crop_pixels(pixels, crop, 90, 160).astype(int)
    corners = out[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners - (190, 185, 180)).max() <= 2
    assert np.abs(out[:40] - (190, 185, 180)).max() <= 3


def test_the_whole_picture_at_its_own_size_is_the_picture():
    pixels = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    assert (crop_pixels(pixels, Crop(0, 0, 20, 30), 20, 30) == pixels).all()


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(crop_pixels(stripes, Crop(0, 0, 64, 64), 13, 13)[2:-2, 2:-2].astype(int) - 127).max() < 12


def render(pixels, crop, export_format, **words):
    return Renderer(pixels, **words).render(crop, export_format)


@pytest.mark.parametrize("file_type", ["jpeg", "png"])
def test_the_same_picture_gives_the_same_bytes(file_type):
    pixels, box = scene((60, 60, 140, 90))
    crop = choose_crop((200, 200), (90, 160), Figure(box))
    entry = SMALL.model_copy(update={"file_type": file_type})
    assert render(pixels, crop, entry, parameters="x", xmp="<x/>") == render(
        pixels.copy(), crop, entry, parameters="x", xmp="<x/>"
    )


def test_a_file_holds_what_crop_pixels_shows():
    pixels = grain()
    crop = Crop(3.5, -10, 100, 200)
    shown = crop_pixels(pixels, crop, 90, 180)
    png = render(pixels, crop, ExportFormat(name="p", width=90, height=180, file_type="png")).data
    assert (decode(png) == shown).all()
    jpeg = render(pixels, crop, ExportFormat(name="j", width=90, height=180, chroma="4:4:4", quality=95)).data
    assert np.abs(decode(jpeg).astype(int) - shown).mean() < 4


def test_formats_that_agree_share_their_work(monkeypatch):
    """Counted: how often a background is grown, a size made, and a picture encoded."""
    counts = Counter()

    def counted(name, function):
        def count(*args, **options):
            counts[name] += 1
            return function(*args, **options)

        return count

    monkeypatch.setattr(render_module, "continued", counted("continued", render_module.continued))
    monkeypatch.setattr(render_module, "strips", counted("strips", render_module.strips))
    monkeypatch.setattr(render_module.jpeg, "encode", counted("encode", render_module.jpeg.encode))
    renderer = Renderer(grain(), parameters="words")
    crop = Crop(0, -10, 200, 220)
    first, same, other_dpi, other_quality, png, other_size = (
        ExportFormat(name="x", height=height, width=200, **rules)
        for height, rules in [
            (220, {}), (220, {"max_bytes": 10**6}), (220, {"dpi": 300}), (220, {"quality": 80}),
            (220, {"file_type": "png"}), (440, {}),
        ]
    )  # fmt: skip
    assert renderer.render(crop, first) == renderer.render(crop, same)
    assert renderer.render(crop, first).data != renderer.render(crop, other_dpi).data
    assert counts == {"continued": 1, "strips": 1, "encode": 1}
    renderer.render(crop, other_quality)
    renderer.render(crop, png)
    assert counts == {"continued": 1, "strips": 1, "encode": 2}
    renderer.render(crop, other_size)
    assert counts == {"continued": 1, "strips": 2, "encode": 3}


def test_many_threads_get_what_one_gets():
    pixels = grain()
    wanted = [
        (Crop(0, 0, 200, 200 * height / width), ExportFormat(name="x", width=width, height=height, dpi=dpi))
        for width, height in [(200, 200), (160, 90), (300, 400)]
        for dpi in (72, 72, 300)
    ]
    alone = [Renderer(pixels).render(crop, entry) for crop, entry in wanted]
    for _ in range(5):
        shared = Renderer(pixels)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda job: shared.render(*job), wanted)) == alone  # noqa: B023


def test_a_failure_is_not_kept(monkeypatch):
    renderer = Renderer(grain())
    job = (Crop(0, 0, 200, 200), ExportFormat(name="x", width=50, height=50))

    def broken(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(render_module, "strips", broken)
        with pytest.raises(MemoryError):
            renderer.render(*job)
    assert renderer.render(*job).quality == 90


def test_a_large_picture_is_never_whole_in_memory(monkeypatch):
    """Strips are taken one at a time: the one before is gone when the next is made."""
    alive, most = 0, 0
    real = resize_module.strips

    class Strip(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def strips(*args, **options):
        nonlocal alive, most
        for strip in real(*args, **options):
            alive, most = alive + 1, max(most, alive + 1)
            yield strip.copy().view(Strip)
            del strip

    monkeypatch.setattr(render_module, "strips", strips)
    render(grain(), Crop(0, 0, 200, 200), ExportFormat(name="x", width=1800, height=1800))
    assert most <= 3


@pytest.mark.parametrize("size", [(300, 300), (1800, 1800)])
def test_the_highest_quality_within_a_byte_limit_is_found_and_told(size):
    pixels, crop = grain(), Crop(0, 0, 200, 200)
    wide = ExportFormat(name="x", width=size[0], height=size[1])
    renderer = Renderer(pixels, parameters="words " * 100)
    lengths = {
        q: len(renderer.render(crop, wide.model_copy(update={"quality": q})).data) for q in range(75, 91)
    }
    for limit, quality in (
        (lengths[90], 90),
        (lengths[90] - 1, 89),
        (lengths[81], 81),
        (lengths[75] + 1, 75),
    ):
        entry = wide.model_copy(update={"max_bytes": limit, "least_quality": 75})
        made = renderer.render(crop, entry)
        assert (made.quality, len(made.data)) == (quality, lengths[quality])
        told = (f"quality {quality} instead of 90, to stay within {limit:,} bytes",)
        assert made.notes == (() if quality == 90 else told)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "at quality 70, the least that is allowed; its limit is 2,000 bytes"),
        ({"least_quality": 90}, "at quality 90, the least that is allowed; its limit is 2,000 bytes"),
        ({"file_type": "png"}, "; its limit is 2,000 bytes"),
    ],
)
def test_a_byte_limit_that_cannot_be_met_is_an_error(rules, words):
    entry = ExportFormat(name="tight", width=200, height=200, max_bytes=2_000, **rules)
    with pytest.raises(ByteLimitError, match=rf"^tight has [\d,]+ bytes.*{words}$") as caught:
        render(grain(), Crop(0, 0, 200, 200), entry)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.max_bytes, again.quality) == (2_000, 0 if "file_type" in rules else entry.least_quality)
    assert again.size_bytes > 2_000


def test_words_that_a_jpeg_cannot_hold_are_left_out_and_not_the_picture():
    entry = ExportFormat(name="s", width=50, height=50)
    data = render(grain(), Crop(0, 0, 200, 200), entry, parameters="prompt", recipe="x" * 70_000).data
    with Image.open(io.BytesIO(data)) as picture:
        assert read_exif(picture.getexif()) == ("prompt", "")
    assert len(exif_block(size=(1, 1), dpi=72, parameters="x" * 40_000)) < 400


def test_what_other_programs_left_is_no_parameters():
    exif = Image.Exif()
    assert read_exif(exif) == ("", "")
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0hello"
    assert read_exif(exif)[0] == ""
    assert "?" in exif_block(size=(1, 1), dpi=72, recipe="not JSON: ß").decode("latin-1")
    assert srgb_profile()[24:36] == bytes.fromhex("07ea00010001000000000000")


@pytest.mark.parametrize(
    ("pixels", "crop"),
    [
        (np.zeros((4, 4), np.uint8), Crop(0, 0, 4, 4)),
        (np.zeros((4, 4, 3), np.float64), Crop(0, 0, 4, 4)),
        (np.zeros((0, 4, 3), np.uint8), Crop(0, 0, 4, 4)),
        (np.zeros((4, 4, 3), np.uint8), Crop(4, 0, 4, 4)),
    ],
)
def test_what_is_no_picture_or_shows_none_is_refused(pixels, crop):
    with pytest.raises(ValueError, match=r"pixels must be|shows nothing"):
        crop_pixels(pixels, crop, 8, 8)


def test_the_table_names_twelve_formats_by_themselves():
    assert len(EXPORT_FORMATS) == 12
    assert all(name == entry.name for name, entry in EXPORT_FORMATS.items())
    entry = EXPORT_FORMATS["print_large"]
    assert (entry.width, entry.height, entry.dpi, entry.extension, entry.content_type) == (
        3300, 5100, 300, "jpg", "image/jpeg",
    )  # fmt: skip
