import io
import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from posegen.exports.crop import Crop, Figure, choose_crop
from posegen.exports.formats import EXPORT_FORMATS, ExportFormat
from posegen.exports.metadata import exif_block, read_exif
from posegen.exports.render import crop_pixels, render_export, srgb_profile
from posegen.images import digital_source_type_xmp, read_metadata

SMALL = ExportFormat(name="small", width=90, height=160)
RED = (220, 30, 30)


def scene(box, width=200, height=200, ground=(190, 185, 180)):
    """Return a plain background with a red rectangle, and its box."""
    pixels = np.full((height, width, 3), ground, np.uint8)
    left, top, right, bottom = box
    pixels[top : bottom + 1, left : right + 1] = RED
    return pixels, box


def red_size(pixels):
    """Return how wide and how high the red rectangle is."""
    red = (pixels[..., 0].astype(int) - pixels[..., 1]) > 95
    return red.any(axis=0).sum(), red.any(axis=1).sum()


@pytest.mark.parametrize("export_format", EXPORT_FORMATS.values(), ids=lambda f: f.name)
def test_every_format_has_its_size_resolution_profile_and_words(export_format):
    pixels, box = scene((60, 20, 140, 180))
    crop = choose_crop((200, 200), (export_format.width, export_format.height), Figure(box))
    words = 'eine Straße, 雨\nNegative prompt: x\nSteps: 4, Seed: 1, Size: "2"'
    recipe = '{"task":{"prompt":"Straße 雨"},"posegen":"1"}'
    xmp = digital_source_type_xmp("rendered")
    data = render_export(pixels, crop, export_format, parameters=words, recipe=recipe, xmp=xmp)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (export_format.width, export_format.height)
        assert picture.info["dpi"] == (export_format.dpi, export_format.dpi)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        found, found_recipe = read_exif(picture.getexif())
        assert found == words
        assert json.loads(found_recipe) == json.loads(recipe)
        assert picture.info["xmp"].decode() == xmp
    assert read_metadata(data).digital_source_type.endswith("/algorithmicMedia")
    assert (export_format.dpi == 300) == (export_format.category == "print")


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


def test_the_same_picture_gives_the_same_bytes():
    pixels, box = scene((60, 60, 140, 90))
    crop = choose_crop((200, 200), (90, 160), Figure(box))
    assert render_export(pixels, crop, SMALL) == render_export(pixels, crop, SMALL)
    assert srgb_profile()[24:36] == bytes.fromhex("07ea00010001000000000000")


def test_words_that_a_jpeg_cannot_hold_are_left_out_and_not_the_picture():
    pixels, _ = scene((60, 60, 140, 90))
    crop = Crop(0, 0, 200, 200)
    data = render_export(
        pixels, crop, ExportFormat(name="s", width=50, height=50), parameters="prompt", recipe="x" * 70_000
    )
    with Image.open(io.BytesIO(data)) as picture:
        assert read_exif(picture.getexif()) == ("prompt", "")
    assert len(exif_block(parameters="x" * 40_000)) < 200


def test_what_other_programs_left_is_no_parameters():
    exif = Image.Exif()
    assert read_exif(exif) == ("", "")
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0hello"
    assert read_exif(exif)[0] == ""
    assert "?" in exif_block(recipe="not JSON: ß").decode("latin-1")


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
