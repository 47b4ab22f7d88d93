from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from posegen.figure import Appearance, draw
from posegen.poses.body import load_body
from posegen.poses.camera import Camera, fit_camera
from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import forward, solve, solve_many

SIZE = 256
PLAIN = Appearance(background="plain", backdrop="#c0c8d0")


def scene(angles=None, *, width=SIZE, height=SIZE, yaw=0.0, male_share=0.0, support="floor", lift_m=0.0):
    body = load_body(male_share=male_share)
    many = solve_many(angle_vector(angles or {})[None], body, supports=[support], lifts_m=[lift_m])
    camera = fit_camera(many.samples()[0], yaw, width, height)
    return many[0], camera


def picture(angles=None, appearance=PLAIN, *, width=SIZE, height=SIZE, yaw=0.0, **support):
    posture, camera = scene(
        angles, width=width, height=height, yaw=yaw, male_share=appearance.male_share, **support
    )
    return draw(posture, camera, appearance, width, height)


def changed(first, second, threshold=8):
    return np.abs(first.astype(int) - second.astype(int)).max(axis=2) > threshold


@pytest.fixture(scope="module")
def standing():
    return picture()


def test_same_arguments_give_same_bytes_in_any_thread(standing):
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: picture(), range(4)))
    assert all(np.array_equal(standing, other) for other in again)


@pytest.mark.parametrize(("width", "height"), [(256, 256), (320, 256), (256, 512), (528, 272)])
def test_sizes_and_aspects(width, height):
    made = picture(width=width, height=height)
    assert made.shape == (height, width, 3)
    assert made.dtype == np.uint8


@pytest.mark.parametrize(("width", "height"), [(240, 256), (256, 2064), (300, 256), (256, 0)])
def test_size_not_allowed(width, height):
    posture, camera = scene()
    with pytest.raises(ValueError, match="width and height"):
        draw(posture, camera, PLAIN, width, height)


def test_plain_background_is_the_backdrop_away_from_the_figure(standing):
    top = standing[: SIZE // 16].reshape(-1, 3).astype(int)
    assert np.abs(top - [0xC0, 0xC8, 0xD0]).max() <= 1


def test_gradient_background_is_smooth_and_not_flat():
    made = picture(appearance=replace(PLAIN, background="gradient")).astype(int)
    left = made[:, 4]
    assert np.ptp(left.sum(axis=1)) > 20
    assert np.abs(np.diff(left, axis=0)).max() <= 6


def test_figure_lies_inside_the_frame(standing):
    figure = changed(standing, np.broadcast_to(standing[0, 0], standing.shape), 40)
    rows, columns = np.flatnonzero(figure.any(axis=1)), np.flatnonzero(figure.any(axis=0))
    assert rows[0] >= 8
    assert rows[-1] <= SIZE - 8
    assert columns[0] >= 8
    assert columns[-1] <= SIZE - 8
    assert np.ptp(rows) > 0.75 * SIZE


@pytest.mark.parametrize(
    ("change", "joint", "reach"),
    [
        ({"hair_color": "#d9d8d4"}, "head", 30),
        ({"top_color": "#b8353a"}, "spine02", 70),
        ({"bottom_color": "#b8353a"}, "lowerleg01.L", 75),
        ({"shoes_color": "#1f2023"}, "foot.L", 40),
    ],
)
def test_a_color_changes_its_own_region(standing, change, joint, reach):
    posture, camera = scene()
    body = load_body()
    place = forward(angle_vector({})[None], body).positions[0]
    place = place - place[0] + posture.root
    x, y, _ = camera.project(place[body.bone(joint)])
    rows, columns = np.nonzero(changed(standing, picture(appearance=replace(PLAIN, **change)), 30))
    assert len(rows) > 20
    assert abs(np.median(columns) - x) < reach
    assert abs(np.median(rows) - y) < reach


@pytest.mark.parametrize(
    "change",
    [
        {"skin": "#573828"}, {"male_share": 1.0}, {"heaviness": 1.0}, {"muscle": 1.0}, {"age": 1.0},
        {"hair_style": "long"}, {"hair_style": "bald"}, {"hair_style": "buzz cut"},
        {"hair_style": "ponytail"}, {"hair_style": "curly"}, {"top": "hoodie"}, {"top": "polo shirt"},
        {"shoes": "loafers"}, {"top": "tank top"}, {"bottom": "skirt"},
        {"bottom": "shorts"}, {"shoes": "barefoot"}, {"shoes": "boots", "bottom": "shorts"},
    ],
)  # fmt: skip
def test_every_attribute_shows(standing, change):
    assert changed(standing, picture(appearance=replace(PLAIN, **change))).sum() > 4


def test_outline_is_antialiased(standing):
    # Along the legs' outlines, denim meets the light backdrop: pixels between the two must be mixed.
    row = standing[int(SIZE * 0.68)].astype(int).sum(axis=1)
    backdrop, cloth = row[0], row.min()
    between = (row > cloth + 0.3 * (backdrop - cloth)) & (row < backdrop - 0.15 * (backdrop - cloth))
    assert between.sum() >= 2
    edges = [standing[r].astype(int).sum(axis=1) for r in range(int(SIZE * 0.6), int(SIZE * 0.75))]
    tones = {int(value) // 12 for row in edges for value in row if cloth + 60 < value < backdrop - 60}
    assert len(tones) >= 6


def test_hem_is_one_clean_line():
    # A white top over black trousers: from row to row the border must not run zig-zag.
    look = replace(PLAIN, top_color="#eef0f0", bottom="trousers", bottom_color="#1f2023")
    made = picture(appearance=look, width=512, height=512).astype(int).sum(axis=2)
    columns = range(236, 276)
    border = [int(np.flatnonzero(made[220:330, c] < 300)[0]) for c in columns]
    steps = np.abs(np.diff(border))
    assert steps.max() <= 2


def shadow_at(made, camera, point):
    x, y, _ = camera.project(np.asarray(point, float))
    patch = made[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].astype(int).sum(axis=2)
    return patch.mean() / (0xC0 + 0xC8 + 0xD0)


def test_contact_shadow_lies_at_the_feet_and_fades_away():
    posture, camera = scene()
    made = draw(posture, camera, PLAIN, SIZE, SIZE)
    samples = solve({}).root
    assert shadow_at(made, camera, (0.0, samples[1] - 0.02, 0.0)) < 0.93
    assert shadow_at(made, camera, (1.0, 0.0, 0.0)) > 0.98


def test_shadow_of_a_jump_is_fainter():
    grounded, camera = scene()
    ground = draw(grounded, camera, PLAIN, SIZE, SIZE)
    posture, wide = scene(support="air", lift_m=0.5)
    wide = Camera(
        wide.yaw, wide.pitch_deg, wide.distance_m, wide.target, wide.focal_px * 0.7, wide.cx, wide.cy - 30
    )
    jump = draw(posture, wide, PLAIN, SIZE, SIZE)
    beside = (0.0, grounded.root[1] - 0.02, 0.0)
    assert 0.7 < shadow_at(ground, camera, beside) < shadow_at(jump, wide, beside) < 0.995


def test_seat_is_drawn_under_a_sitting_body():
    angles = {
        f"{side}_{name}": 90.0 for side in ("left", "right") for name in ("hip.flexion", "knee.flexion")
    }
    posture, camera = scene(angles, support="seat", yaw=60.0)
    with_seat = draw(posture, camera, PLAIN, SIZE, SIZE)
    without = draw(replace(posture, seat=None), camera, PLAIN, SIZE, SIZE)
    middle = (*posture.seat.center, posture.seat.top_m / 2)
    x, y, _ = camera.project(np.asarray(middle))
    assert changed(with_seat, without, 20)[round(y) - 3 : round(y) + 3, round(x) - 3 : round(x) + 3].all()


@pytest.mark.parametrize(
    "angles",
    [
        {"left_shoulder.elevation": 180.0, "right_shoulder.elevation": 180.0},
        {"root.pitch": 180.0},
        {"both_hip.flexion": 110.0, "both_knee.flexion": 130.0},
    ],
)
@pytest.mark.parametrize("bottom", ["jeans", "skirt"])
def test_no_skin_explodes_in_hard_poses(angles, bottom):
    known = {}
    for name, value in angles.items():
        for side in ("left", "right") if name.startswith("both_") else ("",):
            known[name.replace("both_", f"{side}_") if side else name] = value
    made = picture(known, replace(PLAIN, bottom=bottom, hair_style="long"), yaw=30.0)
    border = np.concatenate(
        [made[:6].reshape(-1, 3), made[:, :4].reshape(-1, 3), made[:, -4:].reshape(-1, 3)]
    )
    assert np.abs(border.astype(int) - [0xC0, 0xC8, 0xD0]).max() <= 12


def test_pony_tail_hangs_down_when_the_head_does():
    look = replace(PLAIN, hair_style="ponytail", hair_color="#c69d62")
    made = picture({"root.pitch": 90.0}, look, yaw=90.0)
    short = picture({"root.pitch": 90.0}, replace(look, hair_style="bun"), yaw=90.0)
    assert changed(made, short, 20).sum() > 10


def test_folds_deepen_where_a_limb_bends():
    look = replace(PLAIN, top="sweater", background="plain")
    bent = picture({"left_elbow.flexion": 100.0, "right_elbow.flexion": 100.0}, look)
    assert changed(bent, picture({}, look), 20).sum() > 100
