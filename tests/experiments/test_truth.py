import msgspec
import numpy as np

from posegen.experiments.truth import all_true_keypoints, is_known, true_keypoints
from posegen.pipeline.measure_step import accuracy_target


def test_what_is_drawn_without_noise_lies_on_the_target(plan):
    task = plan.design.task(plan.design.arm("direct"), 0)
    target = accuracy_target(task, task.width, task.height)
    assert target.similarity(true_keypoints(task)) > 0.95


def test_more_noise_is_less_true(plan):
    design = plan.design
    found = {}
    for name in ("direct", "control~3", "control~20"):
        tasks = [design.task(design.arm(name), cell) for cell in range(design.cells)]
        similar = [
            accuracy_target(task, 256, 256).similarity(points)
            for task, points in zip(tasks, all_true_keypoints(tasks), strict=True)
        ]
        found[name] = np.mean(similar)
    assert found["direct"] > found["control~3"] > found["control~20"] + 0.2


def test_nobody_knows_what_another_renderer_or_model_drew(plan):
    task = plan.tasks[0]
    for other in ({"renderer_version": "0"}, {"backend": "fal", "renderer_version": None}):
        changed = msgspec.structs.replace(task, **other)
        assert not is_known(changed)
        assert true_keypoints(changed) is None
