import numpy as np

from posegen.poses.body import load_body
from posegen.poses.kinematics import solve, solve_many
from posegen.poses.library import PoseLibrary
from posegen.poses.settle import MAX_TIP_DEG, settling_turn
from posegen.poses.targets import solve_poses

LIBRARY = PoseLibrary.builtin()


def plank(tilt_deg: float) -> np.ndarray:
    """Return points of a level bar on two legs, one of them too short by the tilt."""
    short = 2.0 * np.tan(np.radians(tilt_deg))
    return np.array([[0, 0, 0], [2.0, 0, short], [0, 0, 0.5], [1.0, 0, 0.5], [2.0, 0, 0.5], [1.5, 0.0, 0.5]])


def test_a_body_that_hovers_at_one_end_settles_on_it() -> None:
    turn = settling_turn(plank(2.0))
    assert turn is not None
    settled = plank(2.0) @ turn.T
    np.testing.assert_allclose(settled[:2, 2], 0.0, atol=1e-9)


def test_a_body_that_would_have_to_tip_far_keeps_its_balance() -> None:
    assert settling_turn(plank(MAX_TIP_DEG + 0.5)) is None


def test_a_body_that_rests_on_both_ends_stays() -> None:
    assert settling_turn(plank(0.0)) is None


def test_a_body_over_its_support_stays() -> None:
    assert settling_turn(solve_many(np.zeros((1, 44))).samples()[0]) is None


def test_hands_and_feet_reach_the_floor_on_every_build() -> None:
    for share in (0.0, 0.5, 1.0):
        posed = solve_poses(
            [LIBRARY.get("push_up"), LIBRARY.get("yoga_downward_dog")], load_body(male_share=share)
        )
        names = posed.body.keypoint_names
        for points in posed.keypoints():
            heights = {name: points[i, 2] for i, name in enumerate(names)}
            for end in ("wrist", "big_toe"):
                assert min(heights[f"left_{end}"], heights[f"right_{end}"]) < 0.09


def test_the_pelvis_stays_above_the_origin() -> None:
    pose = LIBRARY.get("push_up")
    posture = solve(pose.angles, load_body("male"), hands=pose.hands)
    np.testing.assert_allclose(posture.root[:2], 0.0, atol=1e-12)
