import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.exports.crop import (
    BEYOND_JOINTS_OF_BOX,
    BEYOND_JOINTS_OF_LIMB,
    LEAD_ROOM,
    MARGIN,
    MOST_ENLARGED,
    Figure,
    choose_crop,
    facing,
    keypoints_box,
)
from posegen.exports.formats import EXPORT_FORMATS, SafeArea
from posegen.poses.camera import fit_camera
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import extents, keypoints_of, solve_poses

FORMATS = list(EXPORT_FORMATS.values())
IMAGE_SIZES = [(512, 512), (512, 768), (768, 512)]


@pytest.fixture(scope="module")
def postures():
    """Return every pose of the library."""
    return solve_poses(list(PoseLibrary.builtin()))


def inside(points, crop, form, area):
    """Return whether all points lie in the safe area of an export."""
    scale = form.width / crop.width
    x, y = (points[:, 0] + 0.5 - crop.left) * scale, (points[:, 1] + 0.5 - crop.top) * scale
    return bool(
        (x > area.left - 0.01).all()
        and (x < form.width - area.right + 0.01).all()
        and (y > area.top - 0.01).all()
        and (y < form.height - area.bottom + 0.01).all()
    )


def cut(crops_of, postures, image_size, yaw):
    """Return how many poses in all formats have a sample of the body's surface outside the safe area."""
    samples, count = postures.samples(), 0
    for index in range(len(postures)):
        camera = fit_camera(samples[index], yaw, *image_size)
        seen = camera.project(samples[index])[:, :2]
        box = extents(postures, index, camera)["body"]
        count += sum(not inside(seen, crops_of(index, box, form), form, form.safe_area) for form in FORMATS)
    return count


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
@pytest.mark.parametrize("yaw", [0.0, 90.0])
def test_no_pose_loses_any_of_its_body_in_any_format(postures, image_size, yaw):
    def ours(_, box, form):
        return choose_crop(image_size, (form.width, form.height), Figure(box, 1.0), safe_area=form.safe_area)

    assert cut(ours, postures, image_size, yaw) == 0


def test_a_crop_that_does_not_look_cuts_many(postures):
    def blind(_, __, form):
        return choose_crop((512, 512), (form.width, form.height), None)

    assert cut(blind, postures, (512, 512), 0.0) > 100


def test_joints_alone_are_enough_to_keep_the_body(postures):
    points = keypoints_of(postures, [45.0], 512, 512)[:, 0]

    def by_joints(index, _, form):
        box = keypoints_box(points[index])
        size = form.width, form.height
        return choose_crop((512, 512), size, Figure(box, whole=True), safe_area=form.safe_area, margin=0.0)

    assert cut(by_joints, postures, (512, 512), 45.0) == 0


sizes = st.tuples(st.integers(16, 2048), st.integers(16, 2048))


@st.composite
def pictures(draw):
    width, height = draw(sizes)
    x = sorted(draw(st.floats(-0.2 * width, 1.2 * width)) for _ in range(2))
    y = sorted(draw(st.floats(-0.2 * height, 1.2 * height)) for _ in range(2))
    return (width, height), (x[0], y[0], x[1], y[1])


@given(pictures(), st.sampled_from(FORMATS), st.floats(-1, 1))
def test_a_crop_has_the_formats_shape_and_holds_what_the_picture_shows_of_the_figure(picture, form, looks):
    (width, height), box = picture
    crop = choose_crop((width, height), (form.width, form.height), Figure(box, looks))
    assert crop.width / crop.height == pytest.approx(form.width / form.height)
    scale = form.width / crop.width
    cover = max(form.width / width, form.height / height)
    assert scale <= cover * MOST_ENLARGED + 1e-9
    # The squares of the box's pixels, as far as they lie in the picture.
    left, right = (min(max(value, 0), width) for value in (box[0], box[2] + 1))
    top, bottom = (min(max(value, 0), height) for value in (box[1], box[3] + 1))
    if left < right and top < bottom:
        assert crop.left <= left + 1e-6
        assert crop.right >= right - 1e-6
        assert crop.top <= top + 1e-6
        assert crop.bottom >= bottom - 1e-6
    beyond = crop.overhang(width, height)
    wide = beyond[0] + beyond[2] > 1e-6
    high = beyond[1] + beyond[3] > 1e-6
    assert not (wide and high), "without a safe area background is continued along one axis at most"
    if wide:
        assert crop.left <= 1e-6
        assert crop.right >= width - 1e-6
    if high:
        assert crop.top <= 1e-6
        assert crop.bottom >= height - 1e-6


@given(pictures(), st.sampled_from([form for form in FORMATS if form.safe_area.left]))
def test_what_the_picture_shows_whole_keeps_to_the_safe_area(picture, form):
    (width, height), box = picture
    box = (max(box[0], 1), max(box[1], 1), min(box[2], width - 2), min(box[3], height - 2))
    if box[0] > box[2] or box[1] > box[3]:
        return
    area = form.safe_area
    crop = choose_crop((width, height), (form.width, form.height), Figure(box), safe_area=area)
    corners = np.array([box[:2], box[2:]])
    assert inside(corners, crop, form, area)


def test_the_crop_is_the_largest_that_fits_and_follows_the_figure():
    crop = choose_crop((1000, 1000), (9, 16), Figure((700, 20, 799, 979)))
    assert (crop.top, crop.height, crop.width) == (0, 1000, 562.5)
    assert crop.right == 1000
    middle = choose_crop((1000, 1000), (9, 16), Figure((500, 20, 599, 979)))
    assert middle.left == 550 - 562.5 / 2


def test_a_small_figure_is_enlarged_within_the_bound():
    crop = choose_crop((1000, 1000), (1, 1), Figure((450, 450, 549, 549)))
    assert crop.width == pytest.approx(1000 / MOST_ENLARGED)


def test_there_is_room_above_and_where_the_figure_looks_to():
    still, right, left = (
        choose_crop((1000, 1000), (9, 16), Figure((400, 100, 599, 899), looks)) for looks in (0, 1, -1)
    )
    free = still.width - 200 - 2 * MARGIN * 800
    assert right.left - still.left == pytest.approx(LEAD_ROOM * free)
    assert still.left - left.left == pytest.approx(LEAD_ROOM * free)
    above, below = 100 - still.top, still.bottom - 900
    assert 0 < above < below


def test_a_wide_figure_reaches_beyond_the_picture_above_and_below():
    crop = choose_crop((1000, 1000), (9, 16), Figure((100, 400, 899, 599)))
    border = MARGIN * 800
    assert (crop.left, crop.width) == pytest.approx((100 - border, 800 + 2 * border))
    assert crop.height == pytest.approx(crop.width * 16 / 9)
    left, top, right, bottom = crop.overhang(1000, 1000)
    assert (left, right) == (0, 0)
    assert min(top, bottom) > 200


def test_the_margin_gives_way_before_the_picture_ends():
    assert choose_crop((500, 500), (1, 1), Figure((0, 0, 499, 499))).overhang(500, 500) == (0, 0, 0, 0)


def test_where_the_picture_cuts_the_figure_nothing_is_kept_free():
    area = SafeArea(top=20, bottom=20)
    crop = choose_crop((500, 500), (100, 100), Figure((200, 150, 299, 499)), safe_area=area)
    assert crop.bottom == pytest.approx(500)


def test_a_profile_looks_to_its_side(postures):
    points = keypoints_of(postures, [0.0, 90.0, 270.0], 512, 512)
    index = [pose.id for pose in PoseLibrary.builtin()].index("standing_relaxed")
    assert abs(facing(points[index, 0])) < 0.2
    assert facing(points[index, 1]) * facing(points[index, 2]) < -0.25
    assert facing(np.full((18, 2), np.nan)) == 0


@pytest.mark.parametrize("figure", [None, Figure((-50, -50, -10, -10)), Figure((600, 0, 700, 100))])
def test_without_a_figure_the_middle_is_shown(figure):
    crop = choose_crop((500, 400), (1, 1), figure)
    assert (crop.left, crop.top, crop.width, crop.height) == (50, 0, 400, 400)


@pytest.mark.parametrize(
    ("sizes", "figure", "margin"),
    [
        (((0, 10), (1, 1)), None, 0.1),
        (((10, 10), (1, 0)), None, 0.1),
        (((10, 10), (1, 1)), (5, 0, 4, 9), 0.1),
        (((10, 10), (1, 1)), (float("nan"), 0, 4, 9), 0.1),
        (((10, 10), (1, 1)), None, -0.1),
        (((10, 10), (1, 1)), None, float("nan")),
    ],
)
def test_what_makes_no_sense_is_refused(sizes, figure, margin):
    with pytest.raises(ValueError, match=r"must be|not a box"):
        choose_crop(*sizes, None if figure is None else Figure(figure), margin=margin)


def test_a_box_of_joints_needs_a_limb():
    points = np.full((18, 3), np.nan)
    assert keypoints_box(points) is None
    points[3] = 10, 20, 1
    assert keypoints_box(points) is None
    points[4] = 110, 20, 0
    border = BEYOND_JOINTS_OF_BOX * 100
    assert keypoints_box(points) == pytest.approx((10 - border, 20 - border, 110 + border, 20 + border))
    points[0] = 60, 520, 1
    border = BEYOND_JOINTS_OF_LIMB * 100
    assert keypoints_box(points[:, :2]) == pytest.approx(
        (10 - border, 20 - border, 110 + border, 520 + border)
    )
    with pytest.raises(ValueError, match="shape"):
        keypoints_box(np.zeros(3))
