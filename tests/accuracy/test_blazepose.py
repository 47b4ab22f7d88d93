"""The real model, on pictures of the embedded renderer."""

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from posegen.accuracy.measure import measure
from posegen.accuracy.process import shared_pool
from posegen.accuracy.registry import EstimatorSpec
from posegen.backends.figure import draw
from posegen.parameters import BatchParameters
from posegen.pipeline.measure_step import accuracy_target
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare


@pytest.fixture(scope="module")
def pool():
    return shared_pool(EstimatorSpec("mediapipe"))


def drawn(pose, view=0, **more):
    plan = build_plan(BatchParameters(poses=[pose], views=[view], width=512, height=512, seed=3, **more))
    return plan.tasks[0], draw(prepare(plan.tasks[0])).pixels


@pytest.mark.parametrize("view", [0, 35, "-35m"])
def test_a_drawn_pose_is_found_where_it_was_asked_for(pool, view):
    task, pixels = drawn("walking_stride", view)
    found = measure(pool.estimate(pixels).people, accuracy_target(task, 512, 512), pool.open())
    assert found.people == 1
    assert found.oks > 0.85
    assert found.mean_error < 0.03
    assert not found.swapped


def test_another_pose_scores_much_less(pool):
    _, pixels = drawn("walking_stride")
    other, _ = drawn("sitting_upright_on_chair")
    assert measure(pool.estimate(pixels).people, accuracy_target(other, 512, 512), pool.open()).oks < 0.5


def test_people_are_counted_and_nobody_is_nobody(pool):
    _, left = drawn("standing_relaxed")
    _, right = drawn("hands_on_hips_confident")
    assert len(pool.estimate(np.concatenate([left, right], axis=1)).people) == 2
    assert pool.estimate(np.full((300, 400, 3), 128, np.uint8)).people == []


def test_landmarks_in_space_are_in_metres(pool):
    _, pixels = drawn("standing_relaxed")
    world = pool.estimate(pixels).people[0].world
    assert world.shape == (33, 3)
    assert 1.2 < np.ptp(world[:, 1]) < 2.0
    assert abs(world[[23, 24]].mean(axis=0)).max() < 0.02


def test_the_weights_are_named(pool):
    info = pool.open()
    assert (info.name, len(info.weights_sha256)) == ("mediapipe", 64)
    assert info.version.startswith("0.10.")


def test_a_figure_in_another_size_is_measured_in_its_own(pool):
    task, pixels = drawn("walking_stride")
    half = np.ascontiguousarray(pixels[::2, ::2])
    found = measure(pool.estimate(half).people, accuracy_target(task, 256, 256), pool.open())
    assert found.oks > 0.85
