import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.accuracy.top_down import PADDING, crop_around, cut, normalised


def sampled(pixels, crop):
    """Bilinear by the definition, black beyond the picture."""
    height, width = pixels.shape[:2]
    framed = np.zeros((height + 2, width + 2, 3))
    framed[1:-1, 1:-1] = pixels
    rows, columns = np.mgrid[: crop.height, : crop.width].astype(float)
    places = crop.to_picture(np.stack([columns, rows], axis=-1)) + 1
    x, y = np.clip(places[..., 0], 0, width + 1), np.clip(places[..., 1], 0, height + 1)
    left, top = np.minimum(x.astype(int), width), np.minimum(y.astype(int), height)
    across, down = (x - left)[..., None], (y - top)[..., None]
    upper = framed[top, left] * (1 - across) + framed[top, left + 1] * across
    lower = framed[top + 1, left] * (1 - across) + framed[top + 1, left + 1] * across
    return upper * (1 - down) + lower * down


def smooth_picture(height, width):
    rows, columns = np.mgrid[:height, :width]
    waves = [120 + 100 * np.sin(columns / (5 + i)) * np.cos(rows / (7 - i)) for i in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def test_a_tall_box_is_widened_and_a_wide_one_made_taller():
    tall = crop_around(np.array([10.0, 20.0, 50.0, 220.0]), 192, 256)
    assert tall.scale == pytest.approx(256 / (200 * PADDING))
    wide = crop_around(np.array([10.0, 20.0, 310.0, 60.0]), 192, 256)
    assert wide.scale == pytest.approx(192 / (300 * PADDING))


coordinates = st.floats(-500, 2500)
sides = st.floats(2, 2000)


@given(coordinates, coordinates, sides, sides, st.sampled_from([(192, 256), (288, 384), (256, 256)]))
def test_the_padded_box_lies_in_the_crop_centred_and_touches_it(left, top, box_width, box_height, size):
    box = np.array([left, top, left + box_width, top + box_height])
    crop = crop_around(box, *size)
    corners = crop.to_picture(np.array([[0.0, 0.0], size]))
    np.testing.assert_allclose(
        corners.mean(axis=0), [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], atol=1e-6
    )
    spare = np.ptp(corners, axis=0) / (np.array([box[2] - box[0], box[3] - box[1]]) * PADDING)
    assert spare.min() == pytest.approx(1.0)


@given(coordinates, coordinates, sides, sides)
def test_there_and_back_is_the_same_place(left, top, box_width, box_height):
    crop = crop_around(np.array([left, top, left + box_width, top + box_height]), 192, 256)
    points = np.array([[0.0, 0.0], [191.5, 255.5], [40.25, 99.0]])
    back = crop.to_picture(points) * crop.scale + (crop.shift_x, crop.shift_y)
    np.testing.assert_allclose(back, points, atol=1e-6)


@pytest.mark.parametrize(
    "box", [(0, 0, 200, 150), (30, 20, 90, 140), (-40, -30, 60, 50), (150, 100, 260, 190), (80, 70, 95, 90)]
)
def test_a_cut_is_bilinear_and_black_outside(box):
    pixels = smooth_picture(150, 200)
    crop = crop_around(np.array(box, dtype=float), 96, 128)
    taken = cut(pixels, crop)
    assert taken.shape == (128, 96, 3)
    # OpenCV rounds places to 1/32 pixel.
    difference = np.abs(taken.astype(float) - sampled(pixels, crop))
    assert difference.mean() < 0.6
    assert np.quantile(difference, 0.99) < 4


def test_a_cut_leaves_the_picture_alone():
    pixels = smooth_picture(40, 60)
    before = pixels.copy()
    cut(pixels, crop_around(np.array([5.0, 5.0, 20.0, 30.0]), 24, 32))
    np.testing.assert_array_equal(pixels, before)


def test_normalised_is_red_first_and_float32():
    crops = np.zeros((2, 4, 3, 3), dtype=np.uint8)
    crops[1, 2, 1] = 255, 128, 0
    ready = normalised(crops)
    assert ready.dtype == np.float32
    assert ready.shape == (2, 3, 4, 3)
    expected = (255 - 123.675) / 58.395, (128 - 116.28) / 57.12, -103.53 / 57.375
    np.testing.assert_allclose(ready[1, :, 2, 1], expected, rtol=1e-6)
    np.testing.assert_allclose(
        ready[0, :, 0, 0], (-123.675 / 58.395, -116.28 / 57.12, expected[2]), rtol=1e-6
    )


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 5, 5, 9), (np.nan, 0, 5, 5), (0, 0, np.inf, 5)])
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="holds nothing"):
        crop_around(np.array(box, dtype=float), 192, 256)
