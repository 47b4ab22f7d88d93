"""Angles become the body they say, and the collapsed regressor is the mesh's own."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from posegen.errors import UnknownNameError
from posegen.poses.body import load_body
from posegen.poses.hands import HAND_SHAPES, finger_rotations
from posegen.poses.joints import ANGLE_INDEX, ANGLE_NAMES, GREATEST, LEAST, angle_vector, mirrored_angles
from posegen.poses.kinematics import forward, solve, solve_many
from posegen.poses.rotations import between


def random_angles(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(LEAST, GREATEST, (count, len(ANGLE_NAMES)))


def points(**angles: float) -> dict[str, np.ndarray]:
    """Return keypoints by name of the female body; `a__b` stands for `a.b`."""
    named = {name.replace("__", "."): value for name, value in angles.items()}
    postures = solve_many(angle_vector(named)[None])
    return dict(zip(postures.body.keypoint_names, postures.keypoints()[0], strict=True))


@pytest.fixture(scope="module")
def mesh() -> dict[str, np.ndarray]:
    source = resources.files("posegen.figure") / "data" / "body_mesh.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def skinned(mesh, share, rotations, positions):
    rest = (1 - share) * mesh["v_f"].astype(float) + share * mesh["v_m"]
    heads = (1 - share) * mesh["h_f"].astype(float) + share * mesh["h_m"]
    out = np.zeros_like(rest)
    for slot in range(mesh["bi"].shape[1]):
        bone = mesh["bi"][:, slot].astype(int)
        moved = np.einsum("vij,vj->vi", rotations[bone], rest - heads[bone]) + positions[bone]
        out += mesh["bw"][:, slot, None] * moved
    return out


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_keypoints_are_the_ones_regressed_from_the_skinned_mesh(mesh, share):
    postures = solve_many(random_angles(3), load_body(male_share=share))
    for i in range(len(postures)):
        vertices = skinned(mesh, share, postures.rotations[i], postures.positions[i])
        np.testing.assert_allclose(postures.keypoints()[i], mesh["kw"] @ vertices, atol=2e-6)


def test_samples_are_vertices_of_the_skinned_mesh_and_find_its_lowest_point(mesh):
    postures = solve_many(random_angles(12, seed=4))
    for i in range(len(postures)):
        vertices = skinned(mesh, 0.0, postures.rotations[i], postures.positions[i])
        with (resources.files("posegen.poses") / "data" / "skeleton.npz").open("rb") as file:
            chosen = np.load(file)["sample_vertices"]
        np.testing.assert_allclose(postures.samples()[i], vertices[chosen], atol=2e-6)
        assert vertices[:, 2].min() > -0.010


def test_bones_keep_their_lengths():
    body = load_body()
    postures = solve_many(random_angles(20))
    parents = np.array(body.parents)
    child = np.flatnonzero(parents >= 0)
    rest = np.linalg.norm(body.heads[child] - body.heads[parents[child]], axis=1)
    posed = postures.positions[:, child] - postures.positions[:, parents[child]]
    np.testing.assert_allclose(np.linalg.norm(posed, axis=2), np.tile(rest, (20, 1)), atol=1e-9)


def test_rotations_are_rotations():
    rotations = solve_many(random_angles(5)).rotations
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(-1, -2), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)


@pytest.mark.parametrize("name", ["female", "male"])
def test_the_zero_pose_stands_upright_on_the_floor(name):
    postures = solve_many(np.zeros((1, len(ANGLE_NAMES))), load_body(name))
    at = dict(zip(postures.body.keypoint_names, postures.keypoints()[0], strict=True))
    position = dict(zip(postures.body.bone_names, postures.positions[0], strict=True))
    assert postures.samples()[0, :, 2].min() == pytest.approx(0.0, abs=1e-12)
    for upper, middle, lower in (
        ("upperarm01.L", "lowerarm01.L", "wrist.L"),
        ("upperleg01.L", "lowerleg01.L", "foot.L"),
    ):
        for start, end in ((upper, middle), (middle, lower)):
            along = position[end] - position[start]
            assert along[2] / np.linalg.norm(along) == pytest.approx(-1.0, abs=1e-6)
    assert at["nose"][1] < at["left_ear"][1]
    assert at["nose"][2] > 1.4
    assert at["left_big_toe"][1] < at["left_heel"][1]
    assert at["left_heel"][2] < 0.06
    np.testing.assert_allclose(position["root"][:2], 0.0, atol=1e-12)
    thumb, little = position["finger1-3.L"], position["finger5-3.L"]
    assert thumb[1] < little[1], "thumbs point forward"


def test_equal_numbers_left_and_right_are_a_symmetric_body():
    rng = np.random.default_rng(7)
    angles = {
        name: float(rng.uniform(LEAST[ANGLE_INDEX[name]], GREATEST[ANGLE_INDEX[name]]))
        for name in ANGLE_NAMES
        if name.startswith("left_")
    }
    angles |= {name.replace("left", "right"): value for name, value in angles.items()}
    at = points(**{name.replace(".", "__"): value for name, value in angles.items()})
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "big_toe", "heel"):
        np.testing.assert_allclose(at[f"left_{name}"], at[f"right_{name}"] * [-1, 1, 1], atol=0.003)


def test_mirrored_angles_are_the_mirror_image():
    body = load_body()
    vector = random_angles(1)[0]
    angles = dict(zip(ANGLE_NAMES, vector, strict=True))
    plain = solve_many(vector[None]).keypoints()[0]
    flipped = solve_many(angle_vector(mirrored_angles(angles))[None]).keypoints()[0]
    swap = {"left": "right", "right": "left"}
    for i, name in enumerate(body.keypoint_names):
        side, _, rest = name.partition("_")
        other = body.keypoint_names.index(f"{swap[side]}_{rest}") if side in swap else i
        np.testing.assert_allclose(flipped[other], plain[i] * [-1, 1, 1], atol=0.005)
    assert mirrored_angles(mirrored_angles(angles)) == angles


@pytest.mark.parametrize(
    ("angles", "point", "axis", "sign"),
    [
        ({"root__pitch": 40}, "nose", 1, -1),
        ({"root__roll": 40}, "nose", 0, 1),
        ({"root__yaw": 40}, "nose", 0, 1),
        ({"spine__flexion": 40}, "nose", 1, -1),
        ({"spine__side_bend": 30}, "nose", 0, 1),
        ({"spine__twist": 40}, "nose", 0, 1),
        ({"neck__flexion": 30}, "nose", 2, -1),
        ({"neck__side_bend": 30}, "nose", 0, 1),
        ({"head__twist": 30}, "nose", 0, 1),
        ({"head__flexion": 20}, "nose", 2, -1),
        ({"left_clavicle__elevation": 20}, "left_shoulder", 2, 1),
        ({"left_clavicle__protraction": 20}, "left_shoulder", 1, -1),
        ({"left_shoulder__elevation": 60}, "left_wrist", 0, 1),
        ({"left_shoulder__elevation": 60, "left_shoulder__plane": 90}, "left_wrist", 1, -1),
        ({"left_shoulder__elevation": 40, "left_shoulder__plane": -90}, "left_wrist", 1, 1),
        ({"left_elbow__flexion": 60}, "left_wrist", 1, -1),
        ({"left_hip__flexion": 60}, "left_knee", 1, -1),
        ({"left_hip__abduction": 40}, "left_knee", 0, 1),
        ({"left_hip__rotation": 40}, "left_big_toe", 0, -1),
        ({"left_knee__flexion": 60}, "left_ankle", 1, 1),
        ({"right_shoulder__elevation": 60}, "right_wrist", 0, -1),
        ({"right_hip__rotation": 40}, "right_big_toe", 0, 1),
    ],
)
def test_positive_angles_move_the_way_the_table_says(angles, point, axis, sign):
    moved = points(**angles)[point] - points()[point]
    assert sign * moved[axis] > 0.02


def test_internal_rotation_and_pronation_turn_the_hand_inward():
    bent = {"left_elbow__flexion": 90}
    assert points(**bent, left_shoulder__rotation=45)["left_wrist"][0] < points(**bent)["left_wrist"][0] - 0.1
    body = load_body()

    def index_from_little(pronation: float) -> np.ndarray:
        at = solve_many(angle_vector({"left_forearm.pronation": pronation})[None]).positions[0]
        across = at[body.bone("finger2-1.L")] - at[body.bone("finger5-1.L")]
        return across / np.linalg.norm(across)

    assert index_from_little(0)[1] < -0.95
    assert index_from_little(90)[0] < -0.95


def test_ankle_and_wrist_directions():
    body = load_body()

    def bone(name: str, relative_to: str, **angles: float) -> np.ndarray:
        named = {key.replace("__", "."): value for key, value in angles.items()}
        postures = forward(angle_vector(named)[None])
        return postures.positions[0, body.bone(name)] - postures.positions[0, body.bone(relative_to)]

    toe = ("toe2-1.L", "foot.L")
    assert bone(*toe, left_ankle__dorsiflexion=20)[2] > bone(*toe)[2]
    assert bone("toe5-1.L", "toe1-1.L", left_ankle__inversion=20)[2] < bone("toe5-1.L", "toe1-1.L")[2]
    assert bone("toe1-2.L", "toe1-1.L", left_toes__flexion=-30)[2] > bone("toe1-2.L", "toe1-1.L")[2]
    finger = ("finger3-3.L", "wrist.L")
    assert bone(*finger, left_wrist__flexion=30)[0] < bone(*finger)[0]
    assert bone(*finger, left_wrist__deviation=20)[1] > bone(*finger)[1]


def test_the_arm_has_no_jump_where_it_hangs():
    nearly = [
        forward(angle_vector({"left_shoulder.elevation": 0.01, "left_shoulder.plane": plane})[None]).rotations
        for plane in (-90, 0, 90)
    ]
    np.testing.assert_allclose(nearly[0], nearly[1], atol=1e-3)
    np.testing.assert_allclose(nearly[2], nearly[1], atol=1e-3)


def test_raising_the_arm_lifts_the_shoulder():
    low, high = points()["left_shoulder"], points(left_shoulder__elevation=160)["left_shoulder"]
    assert high[2] > low[2] + 0.02


def test_supports():
    sitting = {
        "left_hip.flexion": 90.0,
        "right_hip.flexion": 90.0,
        "left_knee.flexion": 90.0,
        "right_knee.flexion": 90.0,
    }
    on_floor, lifted = solve({}), solve({}, support="air", lift_m=0.4)
    assert lifted.root[2] == pytest.approx(on_floor.root[2] + 0.4)
    assert on_floor.seat is None
    chair = solve(sitting, support="seat")
    assert chair.seat is not None
    assert 0.3 < chair.seat.top_m < 0.5
    assert chair.seat.top_m < chair.root[2]
    assert chair.seat.lifted_m == 0
    stool = solve(sitting, support="seat", seat_height_m=0.7)
    assert stool.seat is not None
    assert stool.seat.top_m == pytest.approx(0.7)
    assert stool.seat.lifted_m == pytest.approx(0.7 - chair.seat.top_m)
    low = solve(sitting, support="seat", seat_height_m=0.2)
    assert low.seat == chair.seat


def test_many_are_the_same_as_one_by_one():
    angles = random_angles(4)
    hands = [("fist", "flat"), ("relaxed", "point"), ("cup", "cup"), ("spread", "peace")]
    supports = ["floor", "air", "seat", "seat"]
    many = solve_many(
        angles,
        hands=hands,
        supports=supports,
        lifts_m=[0, 0.3, 0, 0],
        seat_heights_m=[None, None, None, 0.9],
    )
    for i in range(4):
        one = solve(
            dict(zip(ANGLE_NAMES, angles[i], strict=True)),
            hands=hands[i],
            support=supports[i],
            lift_m=[0, 0.3, 0, 0][i],
            seat_height_m=[None, None, None, 0.9][i],
        )
        np.testing.assert_allclose(one.rotations, many[i].rotations, atol=1e-12)
        np.testing.assert_allclose(one.root, many[i].root, atol=1e-12)
        assert (one.seat is None) == (many[i].seat is None)


def test_no_poses_are_no_postures():
    none = solve_many(np.zeros((0, len(ANGLE_NAMES))))
    assert len(none) == 0
    assert none.keypoints().shape == (0, 23, 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected angles of shape"):
        solve_many(np.zeros((2, 5)))
    with pytest.raises(UnknownNameError, match=r"left_elbow\.flexion"):
        solve({"left_elbow.flexon": 3.0})
    with pytest.raises(UnknownNameError, match="fist"):
        solve({}, hands=("fits", "relaxed"))
    with pytest.raises(UnknownNameError, match="floor"):
        solve({}, support="flor")
    with pytest.raises(UnknownNameError, match="female"):
        load_body("femal")
    with pytest.raises(ValueError, match="male_share"):
        load_body(male_share=1.5)


@pytest.mark.parametrize("shape", sorted(HAND_SHAPES))
def test_hand_shapes_are_mirror_images_and_move_only_fingers(shape):
    left, right = finger_rotations(shape, "L"), finger_rotations(shape, "R")
    mirror = np.diag([-1.0, 1.0, 1.0])
    for bone, rotation in left.items():
        assert bone.startswith("finger")
        np.testing.assert_allclose(mirror @ rotation @ mirror, right[bone[:-1] + "R"], atol=1e-12)


def test_a_blend_is_between_the_two_bodies():
    heights = [
        np.ptp(solve_many(np.zeros((1, len(ANGLE_NAMES))), load_body(male_share=share)).samples()[0, :, 2])
        for share in (0.0, 0.5, 1.0)
    ]
    assert heights[0] < heights[1] < heights[2]
    assert heights[0] == pytest.approx(1.69, abs=0.02)
    assert heights[2] == pytest.approx(1.87, abs=0.02)


def test_between_handles_equal_and_opposite_directions():
    down = np.array([0.0, 0.0, -1.0])
    np.testing.assert_allclose(between(down, down), np.eye(3))
    np.testing.assert_allclose(between(down, -down) @ down, -down, atol=1e-12)
