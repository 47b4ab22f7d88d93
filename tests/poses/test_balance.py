import numpy as np

from posegen.poses.balance import Balance
from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import forward


def postures(*many):
    return forward(np.array([angle_vector(angles) for angles in many]))


def test_who_leans_away_from_the_camera_is_out_of_balance():
    posed = postures({}, {"root.pitch": -15}, {"root.pitch": 15}, {"root.roll": 15})
    balance = Balance.of(posed, 0.0)
    lean = balance.residuals(posed)[:, 0]
    assert lean[0] < 1
    assert min(lean[1], lean[2]) > 2
    assert lean[3] < 1  # aside, which the picture shows
    assert lean.max() <= 5


def test_tipped_feet_cost_a_little():
    posed = postures({}, {"left_ankle.dorsiflexion": -30})
    tipped = Balance.of(posed, 0.0).residuals(posed)[:, 1:]
    assert abs(tipped[1, 0]) > abs(tipped[0, 0])
    assert tipped[1, 1] == tipped[0, 1]


def test_only_who_stands_has_to_balance():
    lying = postures({"root.pitch": -90})
    crouching = postures(
        {
            "left_hip.flexion": 120,
            "right_hip.flexion": 120,
            "left_knee.flexion": 140,
            "right_knee.flexion": 140,
        }
    )
    assert Balance.of(lying, 0.0) is None
    assert Balance.of(crouching, 0.0) is None


def test_a_raised_foot_does_not_carry():
    posed = postures({"left_hip.flexion": 80, "left_knee.flexion": 40})
    names = [posed.body.keypoint_names[point] for point in Balance.of(posed, 0.0).feet]
    assert names
    assert all(name.startswith("right_") for name in names)
