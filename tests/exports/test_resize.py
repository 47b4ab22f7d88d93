import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from posegen.exports import resize as module
from posegen.exports.crop import choose_crop
from posegen.exports.formats import EXPORT_FORMATS
from posegen.exports.resize import resize, strips

SIDES = st.sampled_from([1, 2, 3, 5, 17, 64, 300])


@pytest.fixture(params=["fast", "pillow"])
def library(request, monkeypatch):
    """Both libraries, whichever this machine takes."""
    if request.param == "fast":
        if module.fast is None:
            pytest.skip("cykooz-resizer has no wheel for this machine")
        monkeypatch.setattr(module, "_BITMAP", module._Fast)
    else:
        monkeypatch.setattr(module, "_BITMAP", module._Pillow)
    return request.param


def lanczos(pixels, size, first, last):
    """Return axis 0 from `first` to `last` in another size, by the book."""
    available = len(pixels)
    scale = (last - first) / size
    wide = max(1.0, scale)
    out = np.empty((size, *pixels.shape[1:]))
    for index in range(size):
        centre = first + (index + 0.5) * scale
        low, high = max(0, int(centre - 3 * wide + 0.5)), min(available, int(centre + 3 * wide + 0.5))
        away = (np.arange(low, high) - centre + 0.5) / wide
        weights = np.where(np.abs(away) < 3, np.sinc(away) * np.sinc(away / 3), 0)
        out[index] = np.tensordot(weights / weights.sum(), pixels[low:high], 1)
    return out.round().clip(0, 255)


def psnr(first, second):
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def photo(size=512):
    """Return soft colours with edges and grain."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(float)
    soft[size // 3 : size // 2, size // 4 : size // 2] = (200, 30, 60)
    return (soft + random.normal(0, 3, soft.shape)).clip(0, 255).astype(np.uint8)


@st.composite
def cases(draw):
    height, width = draw(SIDES), draw(SIDES)
    size = (draw(st.sampled_from([1, 2, 16, 33, 150])), draw(st.sampled_from([1, 2, 16, 33, 150])))
    share = st.floats(0, 1, width=32)
    (left, right), (top, bottom) = (
        sorted((draw(share) * side, draw(share) * side)) for side in (width, height)
    )
    part = (left, top, right, bottom) if right - left > 0.01 and bottom - top > 0.01 else None
    return (
        np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, 3), np.uint8),
        size,
        part,
    )


@pytest.mark.parametrize("kind", ["fast", "pillow"])
@settings(max_examples=60)
@given(case=cases())
def test_it_is_lanczos_by_the_book(kind, case):
    if kind == "fast" and module.fast is None:
        pytest.skip("cykooz-resizer has no wheel for this machine")
    pixels, (width, height), part = case
    left, top, right, bottom = part or (0, 0, pixels.shape[1], pixels.shape[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BITMAP", module._Fast if kind == "fast" else module._Pillow)
        made = resize(pixels, width, height, part=part)
    across = lanczos(pixels.swapaxes(0, 1).astype(float), width, left, right).swapaxes(0, 1)
    assert np.abs(made - lanczos(across, height, top, bottom)).max() <= 2


@pytest.mark.parametrize("entry", EXPORT_FORMATS.values(), ids=lambda entry: entry.name)
def test_every_format_is_what_pillow_makes(entry, library):
    pixels = photo()
    crop = choose_crop((512, 512), (entry.width, entry.height), None)
    part = (crop.left, crop.top, crop.right, crop.bottom)
    made = resize(pixels, entry.width, entry.height, part=part)
    theirs = Image.fromarray(pixels).resize((entry.width, entry.height), Image.Resampling.LANCZOS, box=part)
    least = 60 if entry.category == "print" else 45
    assert psnr(made, np.asarray(theirs)) >= least


@pytest.mark.parametrize("size", [(13, 13), (100, 7), (5, 200), (1, 1)])
def test_shrinking_is_antialiased(size, library):
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    stripes[::2] = 255 - stripes[::2]  # a chessboard of single pixels: grey from afar
    made = resize(stripes, *size)
    assert np.abs(made.astype(int) - 127).max() < 12


def test_the_whole_picture_at_its_own_size_is_the_picture(library):
    pixels = photo(60)
    assert (resize(pixels, 60, 60) == pixels).all()
    assert (resize(pixels, 20, 30, part=(10, 5, 30, 35)) == pixels[5:35, 10:30]).all()


def test_views_are_read_as_they_look(library):
    pixels = photo(64)
    turned, mirrored = pixels.swapaxes(0, 1), pixels[::-1, ::-1]
    assert (resize(turned, 30, 40) == resize(np.ascontiguousarray(turned), 30, 40)).all()
    assert (resize(mirrored, 30, 40) == resize(np.ascontiguousarray(mirrored), 30, 40)).all()
    assert (pixels == photo(64)).all()


@pytest.mark.parametrize("rows", [1, 7, 16, 100])
def test_strips_join_without_a_seam(rows, library):
    """At most a level apart, where rounding falls the other way."""
    pixels = photo(64)
    made = np.concatenate(list(strips(pixels, 90, 75, part=(3.3, 1.7, 60.1, 63.9), rows=rows)))
    whole = resize(pixels, 90, 75, part=(3.3, 1.7, 60.1, 63.9))
    assert np.abs(made.astype(int) - whole).max() <= 1


def test_the_same_pixels_every_time_in_any_thread(library):
    pixels = photo(200)
    first = resize(pixels, 333, 777)
    with ThreadPoolExecutor(6) as pool:
        assert all((made == first).all() for made in pool.map(lambda _: resize(pixels, 333, 777), range(12)))
    first[:] = 0  # it is writable


def test_no_threads_are_started():
    code = (
        "import os, numpy as np\n"
        "from posegen.exports.resize import resize\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "resize(np.zeros((300, 300, 3), np.uint8), 2000, 2000)\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "0"


def test_without_the_fast_library_pillow_is_taken():
    code = (
        "import sys; sys.modules['cykooz_resizer'] = None\n"
        "from posegen.exports import resize\n"
        "print(resize._BITMAP.__name__)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "_Pillow"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"width": 0}, "at least 1 pixel"),
        ({"height": -1}, "at least 1 pixel"),
        ({"part": (0, 0, 9, 8)}, "not a part of a picture of 8 x 8"),
        ({"part": (-1, 0, 8, 8)}, "not a part"),
        ({"part": (4, 0, 4, 8)}, "not a part"),
        ({"part": (0, 0, float("nan"), 8)}, "not a part"),
        ({"pixels": np.zeros((8, 8), np.uint8)}, "pixels must be a uint8 array"),
        ({"pixels": np.zeros((8, 8, 3))}, "pixels must be a uint8 array"),
        ({"pixels": np.zeros((8, 0, 3), np.uint8)}, "pixels must be a uint8 array"),
    ],
)
def test_what_makes_no_picture_is_refused(arguments, words):
    given = {"pixels": np.zeros((8, 8, 3), np.uint8), "width": 4, "height": 4, **arguments}
    with pytest.raises(ValueError, match=words):
        resize(given.pop("pixels"), given.pop("width"), given.pop("height"), **given)
