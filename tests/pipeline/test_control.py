import hashlib

import numpy as np

from posegen.images import control_map_png
from posegen.pipeline.control import control_map, control_map_sha256, control_target
from posegen.poses.library import PoseLibrary
from posegen.records import View

POSE = PoseLibrary.builtin().get("walking_stride")


def test_the_hash_is_the_files() -> None:
    data = control_map_png(control_map(POSE, View(35), 256, 256))
    assert hashlib.sha256(data).hexdigest() == control_map_sha256(POSE, View(35), 256, 256)


def test_hidden_faces_are_left_out_and_hidden_limbs_are_not() -> None:
    back = control_target(POSE, View(180), 256, 256)
    assert np.isfinite(back[2:14, :2]).all()
    assert back[0, 2] == 0
    assert (back[2:14, 2] == 1).all()
