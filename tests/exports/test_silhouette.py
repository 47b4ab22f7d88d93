import numpy as np
import pytest

from posegen.exports.silhouette import along_limbs, around, widened


def test_what_is_near_a_point_is_covered_and_nothing_far_away():
    near = around(np.array([[100.0, 50.0], [np.nan, 1.0]]), 20, 300, 200)
    assert near.shape == (200, 300)
    y, x = np.mgrid[:200, :300]
    away = np.hypot(x - 100, y - 50)
    assert near[away <= 18].all()
    assert not near[away > 28].any()


def test_limbs_are_covered_beyond_wrists_and_ankles():
    points = np.full((18, 3), np.nan)
    for index, place in {1: (100, 50), 2: (80, 50), 3: (60, 80), 4: (40, 110), 8: (90, 150)}.items():
        points[index] = *place, 1
    near = along_limbs(points, 300, 300)
    assert near[110, 40]
    assert near[114, 37]
    assert near[100, 85], "the trunk"
    assert not near[280, 280]
    assert not along_limbs(np.full((18, 2), np.nan), 50, 50).any()


@pytest.mark.parametrize("radius", [0, 15])
def test_a_mask_is_widened_to_all_sides(radius):
    mask = np.zeros((400, 300), bool)
    mask[100:200, 100:150] = True
    wide = widened(mask, radius)
    assert wide[100:200, 100:150].all()
    assert wide[max(0, 101 - radius) : 199 + radius, 101 - radius : 149 + radius].all()
    assert not wide[: 90 - radius].any()
    assert not wide[:, 160 + radius :].any()
