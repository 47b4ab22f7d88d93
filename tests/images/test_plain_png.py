import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from posegen.errors import ImageDataError
from posegen.images import decode, encode_png, read_metadata, read_picture
from posegen.images.plain_png import unpack


def picture(height=20, width=30):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_pillow(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@given(st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_plain_files_are_unpacked_as_pillow_does(height, width, ours):
    pixels = picture(height, width)
    data = encode_png(pixels) if ours else by_pillow(Image.fromarray(pixels))
    made = unpack(data)
    assert (made == pixels).all()
    made[:] = 0  # it is writable


def late_words():
    data = encode_png(picture())
    return data[:-12] + chunk(b"tEXt", b"parameters\0late") + data[-12:]


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return by_pillow(Image.fromarray(picture()), exif=exif)


OTHERS = {
    "grey": by_pillow(Image.fromarray(picture()[..., 0])),
    "RGBA": by_pillow(Image.fromarray(picture()).convert("RGBA")),
    "palette": by_pillow(Image.fromarray(picture()).convert("P")),
    "transparent colour": by_pillow(Image.fromarray(picture()), transparency=(1, 2, 3)),
    "words after the pixels": late_words(),
    "lying on its side": turned(),
    "animated": by_pillow(
        Image.fromarray(picture()), save_all=True, append_images=[Image.fromarray(picture()[::-1])]
    ),
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_files_are_left_to_pillow(data):
    assert unpack(data) is None
    pixels, metadata = read_picture(data)
    assert (pixels == decode(data)).all()
    assert metadata == read_metadata(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GIF89a", encode_png(picture())[:60], encode_png(picture())[:-400],
        encode_png(picture())[:200] + b"zzzz" + encode_png(picture())[204:],
    ],
)  # fmt: skip
def test_broken_files_are_left_to_pillow_which_says_what_is_wrong(data):
    assert unpack(data) is None
    with pytest.raises(ImageDataError):
        read_picture(data)


def test_words_are_found_as_pillow_finds_them():
    text = {"parameters": "wörds, 雨", "posegen": json.dumps({"a": 1}), "Title": "é"}
    for data in (encode_png(picture(), text=text, xmp="<x/>"), pillow_words(text)):
        assert unpack(data) is not None
        assert read_picture(data)[1] == read_metadata(data)
        assert read_metadata(data).parameters == "wörds, 雨"


def pillow_words(text):
    words = PngImagePlugin.PngInfo()
    for key, value in text.items():
        words.add_text(key, value, zip=True)
    return by_pillow(Image.fromarray(picture()), pnginfo=words, dpi=(72, 72), icc_profile=b"profile")


def test_the_library_is_loaded_only_when_needed():
    code = "import sys, posegen.images, posegen.pipeline; print('kornia_rs' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "False"
