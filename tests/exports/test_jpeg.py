import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from posegen.exports import jpeg


def picture(height, width):
    random = np.random.default_rng(height)
    coarse = Image.fromarray(random.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def cut(pixels, rows):
    return [pixels[start : start + rows] for start in range(0, len(pixels), rows)]


def markers(data):
    """Return the segments of a file up to its scan, as (marker, body)."""
    found, at = [], 2
    while not found or found[-1][0] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize(
    ("height", "width", "rows"),
    [(64, 64, 16), (1, 1, 16), (17, 5, 16), (333, 129, 32), (512, 40, 256), (300, 33, 16)],
)
def test_strips_are_the_picture_in_one_piece(chroma, height, width, rows):
    pixels = picture(height, width)
    data = jpeg.encode(cut(pixels, rows), quality=83, chroma=chroma)
    whole = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 83, "RGB", chroma.replace(":", ""))
    assert (simplejpeg.decode_jpeg(data) == simplejpeg.decode_jpeg(whole)).all()
    with Image.open(io.BytesIO(data)) as ours, Image.open(io.BytesIO(whole)) as theirs:
        assert ours.size == (width, height)
        assert ours.info.get("progressive") is None
        assert (np.asarray(ours) == np.asarray(theirs)).all()
    assert [name for name, _ in markers(data)].count(0xDD) == (height > rows)


def test_a_stream_of_strips_is_taken_one_at_a_time():
    pixels = picture(64, 64)
    data = jpeg.encode(iter(cut(pixels, 16)), quality=90, chroma="4:2:0")
    assert data == jpeg.encode(cut(pixels, 16), quality=90, chroma="4:2:0")


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([], "no strips"),
        ([(16, 8), (16, 9)], "equally wide"),
        ([(16, 8), (8, 8), (16, 8)], "equally wide and high"),
        ([(16, 8), (32, 8)], "equally wide and high"),
        ([(12, 8), (12, 8)], "multiple of 16"),
    ],
)
def test_strips_that_do_not_fit_together_are_refused(shapes, words):
    with pytest.raises(ValueError, match=words):
        jpeg.encode([picture(*shape) for shape in shapes], quality=90, chroma="4:2:0")


def test_segments_stand_in_order_and_read_back():
    bare = jpeg.encode([picture(16, 16)], quality=90, chroma="4:2:0")
    assert not any(0xE0 <= marker <= 0xEF for marker, _ in markers(bare))
    data = jpeg.with_segments(bare, dpi=300, exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp="<x/>", icc=b"profile")
    assert [marker for marker, _ in markers(data)][:4] == [0xE0, 0xE1, 0xE1, 0xE2]
    assert markers(data)[4:] == markers(bare)
    with Image.open(io.BytesIO(data)) as read:
        assert read.info["dpi"] == (300, 300)
        assert read.info["jfif_version"] == (1, 2)
        assert read.info["exif"].startswith(b"Exif\0\0MM")
        assert read.info["xmp"] == b"<x/>"
        assert read.info["icc_profile"] == b"profile"
    plain = jpeg.with_segments(bare, dpi=72, icc=b"p")
    assert [marker for marker, _ in markers(plain)][:2] == [0xE0, 0xE2]


@pytest.mark.parametrize("what", ["exif", "xmp", "icc"])
def test_what_does_not_fit_into_a_segment_is_refused(what):
    bare = jpeg.encode([picture(16, 16)], quality=90, chroma="4:2:0")
    prefix = {"exif": 6, "xmp": 29, "icc": 14}[what]

    def build(length):
        text = "x" * (length - prefix)
        given = {"icc": b"", what: text if what == "xmp" else text.encode()}
        return jpeg.with_segments(bare, dpi=72, **given)

    assert len(markers(build(jpeg.MOST_SEGMENT_BYTES))) > 4
    with pytest.raises(ValueError, match=r"holds 65,533 bytes, not 65,534"):
        build(jpeg.MOST_SEGMENT_BYTES + 1)
