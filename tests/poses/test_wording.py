import pytest

from posegen.poses.joints import angle_vector
from posegen.poses.library import PoseLibrary
from posegen.poses.wording import describe, rests_on

LIBRARY = PoseLibrary.builtin()


@pytest.mark.parametrize("pose", LIBRARY, ids=lambda pose: pose.id)
def test_who_sits_on_a_chair_is_told_from_who_does_not(pose):
    assert (rests_on(angle_vector(pose.angles)) == "seat") == (pose.support == "seat")


@pytest.mark.parametrize("pose", LIBRARY, ids=lambda pose: pose.id)
def test_every_description_names_trunk_arms_and_legs(pose):
    words = describe(angle_vector(pose.angles), pose.support)
    assert all(part in words for part in ("trunk", "arm", "leg"))
    assert len(words) < 260


@pytest.mark.parametrize(
    ("angles", "support", "words"),
    [
        ({}, "floor", "trunk upright, both arms hanging, both legs straight"),
        ({"spine.flexion": 60}, "floor", "trunk leaning forward"),
        ({"spine.flexion": -60}, "floor", "trunk leaning back"),
        ({"spine.side_bend": 50, "root.roll": 10}, "floor", "trunk bent to the left"),
        ({"root.pitch": 85}, "floor", "trunk level with the floor"),
        ({"root.pitch": 150}, "floor", "trunk upside down"),
        ({"left_shoulder.elevation": 160}, "floor", "left arm raised overhead, right arm hanging"),
        ({"right_shoulder.elevation": 90}, "floor", "right arm held out to the side"),
        ({"right_shoulder.elevation": 90, "right_shoulder.plane": 90}, "floor", "right arm held forward"),
        ({"right_shoulder.elevation": 60, "right_shoulder.plane": -90}, "floor", "right arm held back"),
        ({"left_elbow.flexion": 120}, "floor", "left arm hanging with a sharply bent elbow"),
        ({"left_knee.flexion": 60}, "floor", "left leg with a bent knee, right leg straight"),
        ({"left_hip.abduction": 60}, "floor", "left leg to the side"),
        ({"left_hip.flexion": 80}, "floor", "left leg forward"),
        ({"left_hip.flexion": -40}, "floor", "left leg back"),
        ({}, "seat", "sitting on a chair, trunk upright"),
    ],
)
def test_words(angles, support, words):
    assert words in describe(angle_vector(angles), support)
