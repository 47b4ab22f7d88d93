"""Pictures drawn by the embedded renderer, and estimators that know their answer."""

import io

import numpy as np
from PIL import Image

from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.backends.figure import draw
from posegen.parameters import BatchParameters
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.poses.landmarks import in_picture_axes, landmarks
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import keypoints, solve_poses
from posegen.records import View
from posegen.skeletons import COCO_FROM_OPENPOSE


def drawn(pose_id, yaw=0, size=384):
    parameters = BatchParameters(poses=[pose_id], views=[yaw], width=size, height=size, seed=3)
    return draw(prepare(build_plan(parameters).tasks[0])).pixels


def encoded(pixels, form="PNG", **more):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **more)
    return buffer.getvalue()


def person(pose_id, yaw=0.0, size=384, shift_px=0.0, world=True):
    """Return somebody as a perfect estimator would find them."""
    pose = PoseLibrary.builtin().get(pose_id)
    points = keypoints(pose, View(yaw), size, size)[list(COCO_FROM_OPENPOSE)]
    points[:, 2] = np.where(points[:, 2] > 0, 0.99, 0.4)
    points[:, 0] += shift_px
    known = in_picture_axes(landmarks(solve_poses([pose]))[0], yaw)
    return Person(points, known if world else None)


class Fake:
    """An estimator that finds who it was told to."""

    info = EstimatorInfo("fake", "1", "0" * 64)

    def __init__(self, *people):
        self.people = list(people)
        self.asked = []

    def estimate(self, pixels):
        self.asked.append(pixels)
        return self.people
