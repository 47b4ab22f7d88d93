"""The embedded renderer as a backend."""

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest

from posegen.backends import get_backend
from posegen.backends.base import ImageRequest
from posegen.backends.figure import draw, drawn_keypoints, follow, look_up, noisy
from posegen.errors import ImageFailedError, ResultGoneError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.poses.body import load_body
from posegen.poses.fitting import misfit
from posegen.poses.joints import ANGLE_NAMES, GREATEST, LEAST
from posegen.poses.library import PoseLibrary
from posegen.records import ImageTask

SIZE = 256


def task(**values: Any) -> ImageTask:
    given = {"poses": ["walking_stride"], "width": SIZE, "height": SIZE, **values}
    return build_plan(check(BatchParameters, given)).tasks[0]


def placed(request: ImageRequest) -> np.ndarray:
    """Return where the figure that is drawn has its joints."""
    body = load_body("female")
    stance = follow(request, body)
    assert stance.camera is not None
    return stance.camera.project(stance.posed(body, stance.angles).openpose()[0])[:, :2]


def test_the_same_task_gives_the_same_pixels_and_another_seed_others() -> None:
    first = draw(prepare(task())).pixels
    np.testing.assert_array_equal(first, draw(prepare(task())).pixels)
    assert (first != draw(prepare(task(seed=1))).pixels).any()


def test_a_library_pose_lies_on_its_control_keypoints() -> None:
    request = prepare(task(views=[35]))
    assert request.keypoints is not None
    assert misfit(placed(request), request.keypoints) < 1e-6


def test_edited_keypoints_are_followed() -> None:
    request = prepare(task())
    assert request.keypoints is not None
    edited = request.keypoints.copy()
    edited[[6, 7], 1] -= [30.0, 75.0]
    assert misfit(placed(request), edited) > 0.03
    assert misfit(placed(ImageRequest(request.task, edited)), edited) < 0.02


def test_keypoints_without_a_pose_are_followed_from_the_nearest_library_pose() -> None:
    request = prepare(task(poses=["arms_raised_in_triumph"]))

    bare = ImageRequest(msgspec.structs.replace(request.task, pose=None), request.keypoints)
    assert request.keypoints is not None
    assert misfit(placed(bare), request.keypoints) < 0.03


def test_mirrored_is_the_flipped_picture() -> None:
    plain, mirrored = task(views=[35]), task(views=["35m"])

    mirrored = msgspec.structs.replace(mirrored, seed=plain.seed)
    difference = draw(prepare(plain)).pixels[:, ::-1].astype(int) - draw(prepare(mirrored)).pixels
    assert np.abs(difference).mean() < 0.5


def test_joint_noise_moves_the_joints_within_their_limits_and_not_the_root() -> None:
    angles = np.zeros(len(ANGLE_NAMES))
    moved = noisy(angles, 8.0, seed=3)
    np.testing.assert_array_equal(moved, noisy(angles, 8.0, seed=3))
    assert (moved >= LEAST).all()
    assert (moved <= GREATEST).all()
    assert 4 < np.std(moved) < 12
    assert (moved[:3] == 0).all()
    np.testing.assert_array_equal(noisy(angles, 0.0, seed=3), angles)
    quiet = draw(prepare(task())).pixels
    assert (quiet != draw(prepare(task(backend_options={"joint_noise_deg": 10}))).pixels).any()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("a martial arts kick to the side", "martial_side_kick"),
        ("a football player kicking", "football_instep_kick"),
        ("a woman doing yoga, tree pose", "yoga_tree"),
        ("someone sitting on a chair with legs crossed", "sitting_legs_crossed"),
        ("a person", "standing_relaxed"),
        ("xylophone", "standing_relaxed"),
    ],
)
def test_words_find_the_pose_they_describe(words: str, found: str) -> None:
    assert look_up(words).id == found


def test_every_pose_is_found_by_its_own_description() -> None:
    missed = [pose.id for pose in PoseLibrary.builtin() if look_up(pose.description).id != pose.id]
    assert missed == []


def test_what_was_looked_up_says_that_it_is_circular() -> None:
    made = draw(prepare(task(conditioning="prompt")))
    assert made.synthetic
    assert made.conditioning == "prompt"
    assert any("circular" in note for note in made.notes)
    assert not draw(prepare(task())).notes


def test_sampling_parameters_are_named_as_without_effect() -> None:
    assert "guidance_scale" in draw(prepare(task(guidance_scale=3.5))).notes[0]


def test_control_without_keypoints_fails_the_image() -> None:
    with pytest.raises(ImageFailedError, match="needs keypoints"):
        draw(ImageRequest(task()))


def test_a_backend_in_this_process_keeps_nothing() -> None:

    with pytest.raises(ResultGoneError):
        asyncio.run(get_backend("figure").fetch(ImageRequest(task()), "x", None))  # type: ignore[arg-type]


def test_drawn_keypoints_lie_on_the_figure_in_the_picture() -> None:
    options = {"background": "#00ff00", "joint_noise_deg": 20.0}
    for view in (0, "35m", -90):
        request = prepare(task(views=[view], backend_options=options))
        pixels = draw(request).pixels.astype(int)
        body = (pixels[..., 1] - pixels[..., [0, 2]].max(axis=-1)) < 100
        assert 0.05 < body.mean() < 0.6
        x, y = np.rint(drawn_keypoints(request)).astype(int).T
        assert body[y, x].mean() >= 17 / 18
        assert request.keypoints is not None
        assert np.hypot(*(drawn_keypoints(request) - request.keypoints[:, :2]).T).max() > 5


def test_without_noise_the_drawn_keypoints_are_the_control_keypoints() -> None:
    for view in (35, "35m"):
        request = prepare(task(views=[view]))
        assert request.keypoints is not None
        away = np.hypot(*(drawn_keypoints(request) - request.keypoints[:, :2]).T)
        assert away.max() < 0.02 * SIZE  # a body of another build in the same pose


def test_drawn_keypoints_of_words_are_those_of_the_pose_looked_up() -> None:
    request = prepare(task(conditioning="prompt"))
    assert drawn_keypoints(request).shape == (18, 2)
    np.testing.assert_array_equal(drawn_keypoints(request), drawn_keypoints(request))
