import numpy as np
import pytest

from posegen.images import control_map_png, decode


@pytest.mark.parametrize("colors", [0, 1, 36, 255])
def test_a_picture_of_few_colours_comes_back_as_it_was(colors: int) -> None:
    chance = np.random.default_rng(colors)
    palette = np.vstack([np.zeros((1, 3)), chance.integers(1, 256, (colors, 3))]).astype(np.uint8)
    pixels = palette[chance.integers(0, len(palette), (48, 64))]
    np.testing.assert_array_equal(decode(control_map_png(pixels)), pixels)


def test_a_palette_is_smaller_and_the_same_each_time() -> None:
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[40:60, 20:200] = (255, 85, 0)
    data = control_map_png(pixels)
    assert len(data) < 1500
    assert data == control_map_png(pixels)


def test_one_of_many_colours_is_kept_too() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(control_map_png(pixels)), pixels)
