import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.exports.background import continued

pads = st.integers(0, 40)


@given(st.integers(1, 40), st.integers(1, 40), pads, pads, pads, pads)
def test_the_picture_lies_untouched_in_a_larger_one(height, width, left, top, right, bottom):
    pixels = np.random.default_rng(height * 41 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = pixels.copy()
    grown = continued(pixels, left, top, right, bottom)
    assert grown.shape == (top + height + bottom, left + width + right, 3)
    assert grown.dtype == np.uint8
    assert (grown[top : top + height, left : left + width] == before).all()
    assert (pixels == before).all()


def test_a_plain_background_stays_plain():
    pixels = np.full((120, 80, 3), (200, 150, 90), np.uint8)
    grown = continued(pixels, 100, 0, 100, 0).astype(int)
    assert np.abs(grown - (200, 150, 90)).max() <= 2
    assert np.abs(grown[:, :100].mean(axis=(0, 1)) - (200, 150, 90)).max() < 0.1


def test_a_figure_away_from_the_edge_leaves_no_trace_beyond_it():
    pixels = np.full((200, 200, 3), 180, np.uint8)
    pixels[30:170, 40:160] = (20, 40, 60)
    assert np.abs(continued(pixels, 0, 150, 0, 150).astype(int)[:150] - 180).max() <= 2


def test_a_gradient_goes_on_over_the_seam_and_then_rests():
    rows = np.linspace(120, 200, 256)[:, None, None]
    pixels = np.broadcast_to(rows, (256, 256, 3)).round().astype(np.uint8)
    lines = continued(pixels, 0, 120, 0, 120).mean(axis=(1, 2))
    slope = 80 / 255
    assert np.abs(np.diff(lines[110:140]) - slope).max() < 0.75  # whole levels, so steps of 0 and 1
    assert lines[110] < lines[125] - 3
    assert lines[0] > 120 - 21
    assert np.abs(np.diff(lines[:40])).mean() < slope / 2


def test_a_line_on_the_background_meets_the_edge_and_softens_with_distance():
    pixels = np.full((200, 100, 3), 200, np.uint8)
    pixels[120:] = 90
    grown = continued(pixels, 0, 0, 150, 0).astype(int)[..., 0]
    near = np.abs(np.diff(grown[:, 101])).max()
    far = np.abs(np.diff(grown[:, 240])).max()
    assert near > 80
    assert far < near / 4
    assert (grown[:30, 100:] > 190).all()
    assert (grown[-30:, 100:] < 100).all()


def test_grain_goes_on():
    noise = np.random.default_rng(3).normal(0, 4, (256, 256, 1))
    pixels = np.clip(150 + noise, 0, 255).round().astype(np.uint8).repeat(3, axis=2)
    grown = continued(pixels, 0, 0, 100, 0)[:, 256:].astype(float)
    assert grown.std() == pytest.approx(4, abs=1)


def test_the_same_picture_gives_the_same_background():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (continued(pixels, 9, 9, 9, 9) == continued(pixels, 9, 9, 9, 9)).all()


def test_cutting_is_not_continuing():
    with pytest.raises(ValueError, match="0 or more"):
        continued(np.zeros((4, 4, 3), np.uint8), -1, 0, 0, 0)
