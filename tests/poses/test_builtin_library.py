"""The built-in poses: as many and as different as promised, each describing itself, none in the floor."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from posegen.poses.kinematics import solve_many
from posegen.poses.library import PoseLibrary
from posegen.poses.pose import CATEGORIES, Pose
from posegen.poses.targets import angle_matrix, keypoints_many, solve_poses
from posegen.records import View
from posegen.skeletons import OPENPOSE_SIGMAS

POSES = list(PoseLibrary.builtin())
SIZE = 512
AREA_OF_BOX = 0.53
"""COCO's convention for a person's area when only its box is known (xtcocotools)."""

TRUNK = r"\b(trunk|torso|body|back|chest|spine|waist|hips?|shoulders?|upper body|lean\w*|upright)\b"
ARMS = r"\b(arms?|hands?|elbows?|fists?|forearms?|fingers?|palms?|wrists?)\b"
LEGS = r"\b(legs?|knees?|feet|foot|thighs?|shins?|heels?|toes?|ankles?)\b"


def oks(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the object keypoint similarity of two (18, 3) arrays, all points counted, area from `a`."""
    extent = np.ptp(a[:, :2], axis=0)
    area = AREA_OF_BOX * extent[0] * extent[1]
    squared = np.square(a[:, :2] - b[:, :2]).sum(axis=1)
    return float(np.exp(-squared / (2 * area * (2 * OPENPOSE_SIGMAS) ** 2)).mean())


def test_there_are_64_poses_in_28_categories() -> None:
    assert len(POSES) == 64
    assert {pose.category for pose in POSES} == set(CATEGORIES)
    assert len(CATEGORIES) == 28


def test_ids_names_and_descriptions_are_unique() -> None:
    for attribute in ("id", "name", "description"):
        values = [getattr(pose, attribute).lower() for pose in POSES]
        assert len(set(values)) == len(values)
    assert len({pose.content_hash() for pose in POSES}) == len(POSES)


@pytest.mark.parametrize("pose", POSES, ids=lambda pose: pose.id)
def test_description_names_trunk_arms_and_legs(pose: Pose) -> None:
    text = pose.description.lower()
    for part in (TRUNK, ARMS, LEGS):
        assert re.search(part, text), f"no word of {part} in {text!r}"
    assert 60 <= len(text) <= 400


def test_no_two_poses_look_alike_from_the_front() -> None:
    front = keypoints_many(POSES, [View(0.0)], SIZE, SIZE)[:, 0]
    alike = [
        f"{POSES[i].id} ~ {POSES[j].id}: {similarity:.3f}"
        for i in range(len(POSES))
        for j in range(i)
        if (similarity := max(oks(front[i], front[j]), oks(front[j], front[i]))) > 0.9
    ]
    assert not alike


@pytest.mark.parametrize("body", ["female", "male"])
def test_no_part_is_under_the_floor(body: str) -> None:
    lowest = solve_poses(POSES, body).samples()[:, :, 2].min(axis=1)
    assert lowest.min() > -1e-9


def test_every_angle_differs_somewhere_in_the_library() -> None:
    used = np.abs(angle_matrix(POSES)).max(axis=0) > 0
    assert used.mean() > 0.8
    assert len(solve_many(angle_matrix(POSES))) == len(POSES)
