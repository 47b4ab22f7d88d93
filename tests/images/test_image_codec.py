from __future__ import annotations

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from posegen.errors import ImageDataError
from posegen.images import decode, encode_png, thumbnail_jpeg


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("level", [None, 0, 1, 9])
def test_png_round_trip_keeps_every_pixel(level: int | None) -> None:
    pixels = picture()
    assert np.array_equal(decode(encode_png(pixels, compress_level=level)), pixels)


def test_png_of_a_view_into_a_larger_array() -> None:
    pixels = picture()[::2, ::-1]
    assert np.array_equal(decode(encode_png(pixels)), pixels)


def test_same_arguments_give_same_bytes() -> None:
    assert encode_png(picture(), text={"a": "b"}) == encode_png(picture(), text={"a": "b"})


def test_png_says_srgb_and_carries_text_in_any_script() -> None:
    text = {"latin": "caf\u00e9", "other": "\u6b63\u9762 \U0001f9d8", "nul": "a\0b", "surrogate": "x\ud800y"}
    data = encode_png(picture(), text=text, xmp="<x/>")
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["srgb"] == 0
        assert image.text["latin"] == "caf\u00e9"
        assert image.text["other"] == "\u6b63\u9762 \U0001f9d8"
        assert image.text["nul"] == "ab"
        assert image.text["surrogate"] == "x?y"
        assert image.text["XML:com.adobe.xmp"] == "<x/>"


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float64),
    ],
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        encode_png(pixels)
    with pytest.raises(ValueError, match="shape"):
        thumbnail_jpeg(pixels)


@pytest.mark.parametrize("key", ["", " a", "a" * 80, "a\nb", "\u6b63"])
def test_bad_text_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="text key"):
        encode_png(picture(), text={key: "v"})


@pytest.mark.parametrize("shape", [(1024, 1024), (1216, 832), (512, 1536), (20, 30), (401, 400)])
def test_thumbnail_is_square_and_undistorted(shape: tuple[int, int]) -> None:
    # A disc of 40 % of the shorter side in the crop's middle must stay a disc.
    height, width = shape
    side = min(shape)
    cx, cy = (width - side) / 2 + side / 2, round((height - side) * 0.2) + side / 2
    y, x = np.mgrid[0:height, 0:width] + 0.5
    disc = (x - cx) ** 2 + (y - cy) ** 2 < (0.4 * side) ** 2
    pixels = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, 2)
    small = decode(thumbnail_jpeg(pixels))
    assert small.shape == (400, 400, 3)
    inside = small[..., 0] > 127
    tall, wide = np.ptp(np.nonzero(inside.any(1))[0]), np.ptp(np.nonzero(inside.any(0))[0])
    assert abs(tall - wide) <= 400 / side + 2
    assert abs(inside.mean() - np.pi * 0.16) < 0.03


def test_thumbnail_is_antialiased() -> None:
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 255
    assert abs(decode(thumbnail_jpeg(stripes)).astype(int) - 127).max() < 20


def test_thumbnail_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="size"):
        thumbnail_jpeg(picture(), 0)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_on_white(kind: str) -> None:
    image = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    pixels = decode(as_file(image, kind, lossless=True))
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[4, 4].tolist() == [255, 255, 255]


def test_decode_reads_grey_palette_cmyk_and_sixteen_bits() -> None:
    assert decode(as_file(Image.new("L", (3, 2), 100), "PNG"))[0, 0].tolist() == [100, 100, 100]
    assert decode(as_file(Image.new("1", (3, 2), 1), "PNG"))[0, 0].tolist() == [255, 255, 255]
    assert decode(as_file(Image.new("RGB", (3, 2), "red").convert("P"), "PNG"))[0, 0].tolist() == [255, 0, 0]
    assert decode(as_file(Image.new("CMYK", (8, 8)), "JPEG"))[0, 0].min() > 250
    grey = Image.fromarray(np.full((2, 3), 32896, np.uint16))
    assert decode(as_file(grey, "PNG"))[0, 0].tolist() == [128, 128, 128]


def test_decode_stands_pictures_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_file(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    assert decode(data).shape == (40, 20, 3)


def test_a_picture_with_broken_exif_is_still_a_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_file(Image.new("RGB", (40, 20)), "PNG", exif=exif)
    assert decode(data).shape == (40, 20, 3)
    broken = as_file(Image.new("RGB", (40, 20)), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01")
    assert decode(broken).shape == (20, 40, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (33, 17)])
def test_png_of_any_shape(shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    assert np.array_equal(decode(encode_png(pixels)), pixels)


def test_decoded_pixels_can_be_changed() -> None:
    decode(encode_png(picture()))[0, 0] = 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"not a picture at all", "not a PNG, JPEG or WebP"),
        (as_file(Image.new("RGB", (4, 4)), "GIF"), "not a PNG, JPEG or WebP"),
        (as_file(Image.new("RGB", (4, 4)), "TIFF"), "not a PNG, JPEG or WebP"),
        (encode_png(picture())[:-200], "broken"),
        (as_file(Image.new("RGB", (400, 400)), "JPEG")[:-900], "broken"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, says: str) -> None:
    with pytest.raises(ImageDataError, match=says):
        decode(data)


def png_header_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_bombs_are_refused_before_they_are_unpacked(side: int) -> None:
    with pytest.raises(ImageDataError, match="pixels"):
        decode(png_header_claiming(side, side))


def test_limits_can_be_narrowed() -> None:
    data = encode_png(picture())
    with pytest.raises(ImageDataError, match="at most 10 are allowed"):
        decode(data, max_bytes=10)
    with pytest.raises(ImageDataError, match="64 x 48"):
        decode(data, max_pixels=64 * 48 - 1)
    assert decode(data, max_pixels=64 * 48).shape == (48, 64, 3)


GOOD_FILES = [
    encode_png(picture(), text={"parameters": "x"}, xmp="<x/>"),
    as_file(Image.fromarray(picture()), "JPEG", exif=Image.Exif()),
    as_file(Image.fromarray(picture()), "WEBP"),
    as_file(Image.fromarray(picture()).convert("P"), "PNG"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(GOOD_FILES),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8),
    st.none() | st.integers(0, 4000),
)
def test_broken_files_raise_nothing_else(
    data: bytes, changes: list[tuple[int, int]], length: int | None
) -> None:
    broken = bytearray(data)
    for place, value in changes:
        broken[place % len(broken)] = value
    try:
        pixels = decode(bytes(broken[:length]))
    except ImageDataError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_the_error_survives_pickling() -> None:
    with pytest.raises(ImageDataError) as caught:
        decode(b"x")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_png_takes_resolution_profile_and_exif() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 40, 3), dtype=np.uint8)
    exif = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
    data = encode_png(pixels, dpi=300, exif=exif, icc=("sRGB", b"a profile"))
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.info["icc_profile"] == b"a profile"
        assert image.info["exif"].endswith(exif)
        assert "srgb" not in image.info  # a PNG has one or the other
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.info["srgb"] == 0
        assert "dpi" not in image.info
