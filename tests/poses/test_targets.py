"""Keypoints sit where the joints are, inside the frame, and know what hides them."""

from __future__ import annotations

import numpy as np
import pytest

from posegen.poses.body import load_body
from posegen.poses.camera import fit_camera
from posegen.poses.library import Pose, PoseLibrary
from posegen.poses.targets import (
    ALL_VIEWS,
    YAWS,
    extents,
    keypoints,
    keypoints_many,
    keypoints_of,
    mirrored_keypoints,
    solve_poses,
)
from posegen.poses.visibility import own_parts, part_of_bone
from posegen.records import View
from posegen.skeletons import OPENPOSE_18

LIBRARY = PoseLibrary.builtin()
POSES = [LIBRARY.get(name) for name in ("standing_relaxed", "walking_stride", "sitting_upright_on_chair")]
STANDING = Pose.from_content({"angles": {"left_shoulder.elevation": 10, "right_shoulder.elevation": 10}})
INDEX = {name: i for i, name in enumerate(OPENPOSE_18.keypoints)}


def posed(**angles: float) -> Pose:
    named = {name.replace("__", "."): value for name, value in angles.items()}
    return Pose("test", "test", "standing", "", angles=named)


@pytest.mark.parametrize(("width", "height"), [(512, 512), (256, 1024), (2048, 256)])
def test_points_are_finite_and_inside_the_frame(width, height):
    points = keypoints_many(POSES, ALL_VIEWS, width, height)
    assert points.shape == (3, 16, 18, 3)
    assert np.isfinite(points).all()
    assert points[..., 0].min() > 0
    assert points[..., 0].max() < width - 1
    assert points[..., 1].min() > 0
    assert points[..., 1].max() < height - 1
    assert set(np.unique(points[..., 2])) == {0.0, 1.0}


def test_points_are_the_projected_joints():
    postures = solve_poses([STANDING])
    camera = fit_camera(postures.samples()[0], 45.0, 640, 480)
    expected = camera.project(postures.openpose()[0])[:, :2]
    np.testing.assert_allclose(keypoints(STANDING, View(45.0), 640, 480)[:, :2], expected)
    shoulders = expected[[INDEX["left_shoulder"], INDEX["right_shoulder"]]]
    np.testing.assert_allclose(expected[INDEX["neck"]], shoulders.mean(axis=0), atol=0.6)


def test_the_persons_left_is_on_the_pictures_right_from_the_front():
    front = keypoints(STANDING, View(0.0), 512, 512)
    assert front[INDEX["left_shoulder"], 0] > front[INDEX["right_shoulder"], 0]
    back = keypoints(STANDING, View(180.0), 512, 512)
    assert back[INDEX["left_shoulder"], 0] < back[INDEX["right_shoulder"], 0]


@pytest.mark.parametrize("yaw", [0.0, 45.0, 90.0])
def test_mirroring_flips_the_picture_and_swaps_sides(yaw):
    plain, mirrored = (keypoints(STANDING, View(yaw, flag), 500, 512) for flag in (False, True))
    for name, i in INDEX.items():
        side, _, rest = name.partition("_")
        other = INDEX[f"{'right' if side == 'left' else 'left'}_{rest}"] if rest else i
        assert mirrored[other, 0] == pytest.approx(499 - plain[i, 0])
        assert mirrored[other, 1] == pytest.approx(plain[i, 1])
        assert mirrored[other, 2] == plain[i, 2]
    np.testing.assert_allclose(mirrored_keypoints(mirrored, 500), plain, atol=1e-9)


def test_many_are_the_same_as_one_by_one():
    many = keypoints_many(POSES, ALL_VIEWS, 512, 768, "male")
    for i, pose in enumerate(POSES):
        for j, view in enumerate(ALL_VIEWS):
            np.testing.assert_allclose(many[i, j], keypoints(pose, view, 512, 768, "male"), atol=1e-9)


def test_bodies_differ_and_may_be_blended():
    female, blend, male = (
        keypoints(STANDING, View(), 512, 512, body) for body in ("female", load_body(male_share=0.5), "male")
    )
    assert np.abs(female - male)[:, :2].max() > 2
    assert np.abs(female - blend)[:, :2].max() < np.abs(female - male)[:, :2].max()


def test_no_poses_and_no_views():
    assert keypoints_many([], ALL_VIEWS, 512, 512).shape == (0, 16, 18, 3)
    assert keypoints_many(POSES, [], 512, 512).shape == (3, 0, 18, 3)


def test_the_face_is_hidden_from_behind_and_seen_from_the_front():
    face = [INDEX[name] for name in ("nose", "right_eye", "left_eye")]
    front, back = (keypoints(STANDING, View(yaw), 512, 512)[:, 2] for yaw in (0.0, 180.0))
    assert front.all()
    assert not back[face].any()
    assert back[[INDEX["neck"], INDEX["left_shoulder"], INDEX["right_hip"], INDEX["left_knee"]]].all()


def test_the_far_side_is_hidden_from_the_side():
    left_view = keypoints(STANDING, View(90.0), 512, 512)[:, 2]
    for joint in ("shoulder", "elbow", "hip", "knee", "ear", "eye"):
        assert left_view[INDEX[f"left_{joint}"]] == 1
        assert left_view[INDEX[f"right_{joint}"]] == 0
    right_view = keypoints(STANDING, View(-90.0), 512, 512)[:, 2]
    assert right_view[INDEX["left_shoulder"]] == 0
    assert right_view[INDEX["right_shoulder"]] == 1


def test_a_hand_behind_the_back_is_hidden_from_the_front_only():
    behind = posed(
        left_shoulder__plane=-70,
        left_shoulder__elevation=25,
        left_shoulder__rotation=80,
        left_elbow__flexion=80,
    )
    front, back = (keypoints(behind, View(yaw), 512, 512)[:, 2] for yaw in (0.0, 180.0))
    assert front[INDEX["left_wrist"]] == 0
    assert back[INDEX["left_wrist"]] == 1


def test_looking_along_a_thigh_does_not_hide_its_own_hip():
    sitting = keypoints(LIBRARY.get("sitting_upright_on_chair"), View(0.0), 512, 512)[:, 2]
    assert sitting[[INDEX["left_knee"], INDEX["left_hip"], INDEX["right_hip"]]].all()


def test_parts():
    assert part_of_bone("finger2-1.L") == "left_hand"
    assert part_of_bone("upperleg02.R") == "right_thigh"
    assert part_of_bone("clavicle.L") == "torso"
    assert part_of_bone("eye.L") == "head"
    assert own_parts("left_knee") == {"left_thigh", "left_shank"}
    assert own_parts("nose") == frozenset()


def test_extents_hold_the_parts():
    postures = solve_poses([STANDING])
    camera = fit_camera(postures.samples()[0], 0.0, 512, 512)
    boxes = extents(postures, 0, camera)
    seen = camera.project(postures.openpose()[0])
    for part, joint in (("head", "nose"), ("body", "left_knee")):
        left, top, right, bottom = boxes[part]
        assert left < seen[INDEX[joint], 0] < right
        assert top < seen[INDEX[joint], 1] < bottom
    assert boxes["left_hand"][0] > boxes["right_hand"][2]
    assert boxes["left_foot"][3] > boxes["left_hand"][3]
    mirrored = extents(postures, 0, camera, mirrored_width=512)
    assert mirrored["right_hand"][0] == pytest.approx(511 - boxes["left_hand"][2])


def test_the_eight_views_go_round():
    points = keypoints_of(solve_poses([STANDING]), YAWS, 512, 512)
    assert points.shape == (1, 8, 18, 3)
    assert len(set(YAWS)) == 8
    assert all(-180 < yaw <= 180 for yaw in YAWS)
