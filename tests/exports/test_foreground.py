import numpy as np
import pytest

from posegen.exports.foreground import foreground


def ground(height=300, width=240, grain=2.0, slope=40.0):
    """Return a shaded studio ground."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0 : 1 : complex(0, height), 0 : 1 : complex(0, width)]
    shade = 150 + slope * y - slope * (x - 0.5) ** 2
    return np.clip(shade[..., None] + rng.normal(0, grain, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("grain", [0.0, 2.0, 5.0])
def test_what_stands_out_from_a_studio_ground_is_found(grain):
    pixels = ground(grain=grain)
    pixels[60:260, 90:140] = 40, 60, 120
    pixels[5:9, 5:9] = 0  # a speck is no figure
    (left, top, right, bottom), outline = foreground(pixels)
    assert outline.shape == pixels.shape[:2]
    assert outline[65:255, 95:135].all()
    assert outline.mean() < 0.2
    assert (left, top) == pytest.approx((90, 60), abs=4)
    assert (right, bottom) == pytest.approx((139, 259), abs=4)


def test_a_figure_that_the_picture_cuts_is_found_too():
    pixels = ground()
    pixels[120:, 90:140] = 40, 60, 120
    box, _ = foreground(pixels)
    assert box[3] == pytest.approx(299, abs=3)


def noise():
    return np.random.default_rng(1).integers(0, 255, (300, 240, 3), dtype=np.uint8)


def split():
    pixels = ground()
    pixels[:, 120:] = 10, 200, 10
    return pixels


@pytest.mark.parametrize(
    "pixels", [ground(), noise(), split(), ground(8, 8), np.zeros((300, 4, 3), np.uint8)]
)
def test_where_nothing_stands_out_nothing_is_said(pixels):
    assert foreground(pixels) is None
