from collections import Counter

import pytest

from posegen.experiments.strata import POSTURES, posture_of, side_of
from posegen.poses.library import PoseLibrary
from posegen.records import View


@pytest.mark.parametrize(
    ("pose", "posture"),
    [
        ("standing_relaxed", "upright"),
        ("sitting_upright_on_chair", "upright"),
        ("jumping_for_joy", "upright"),
        ("sitting_floor_leaning_back", "on the floor"),
        ("crouching_elbows_on_knees", "on the floor"),
        ("push_up", "lying"),
        ("lying_on_side_propped", "lying"),
        ("yoga_downward_dog", "inverted"),
    ],
)
def test_how_bodies_are_held(pose, posture):
    assert posture_of(PoseLibrary.builtin().get(pose)) == posture


def test_the_library_has_every_posture():
    found = Counter(posture_of(pose) for pose in PoseLibrary.builtin())
    assert set(found) == set(POSTURES)
    assert found["upright"] > 40


@pytest.mark.parametrize(
    ("yaw", "side"),
    [(0, "front"), (60, "front"), (-60, "front"), (61, "side"), (-119, "side"), (120, "back"), (180, "back")],
)
def test_sides(yaw, side):
    assert side_of(View(yaw=yaw)) == side_of(View(yaw=yaw, mirrored=True)) == side
