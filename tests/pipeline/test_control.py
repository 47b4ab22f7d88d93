import hashlib

import numpy as np

from posegen.images import decode
from posegen.pipeline.control import control_map, control_map_png, control_map_sha256, control_target
from posegen.poses.library import PoseLibrary
from posegen.records import View

POSE = PoseLibrary.builtin().get("walking_stride")


def test_a_map_comes_back_from_its_png_as_it_was() -> None:
    for view in (View(), View(90, mirrored=True)):
        drawn = control_map(POSE, view, 320, 256)
        assert drawn.any()
        np.testing.assert_array_equal(decode(control_map_png(drawn)), drawn)


def test_a_map_with_many_colours_or_none_is_kept_too() -> None:
    for pixels in (
        np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8),
        np.zeros((64, 64, 3), dtype=np.uint8),
    ):
        np.testing.assert_array_equal(decode(control_map_png(pixels)), pixels)


def test_the_hash_is_the_files() -> None:
    data = control_map_png(control_map(POSE, View(35), 256, 256))
    assert hashlib.sha256(data).hexdigest() == control_map_sha256(POSE, View(35), 256, 256)


def test_hidden_faces_are_left_out_and_hidden_limbs_are_not() -> None:
    back = control_target(POSE, View(180), 256, 256)
    assert np.isfinite(back[2:14, :2]).all()
    assert back[0, 2] == 0
    assert (back[2:14, 2] == 1).all()
