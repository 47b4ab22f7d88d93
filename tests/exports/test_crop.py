import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.exports.crop import (
    BEYOND_JOINTS_OF_BOX,
    BEYOND_JOINTS_OF_LIMB,
    MARGIN,
    choose_crop,
    keypoints_box,
)
from posegen.exports.formats import EXPORT_FORMATS
from posegen.poses.camera import fit_camera
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import extents, keypoints_of, solve_poses

FORMATS = list(EXPORT_FORMATS.values())
IMAGE_SIZES = [(512, 512), (512, 768), (768, 512)]


@pytest.fixture(scope="module")
def postures():
    """Return every pose of the library."""
    return solve_poses(list(PoseLibrary.builtin()))


def inside(points, crop):
    """Return whether the squares of all pixels at `points` lie in the crop."""
    x, y = points[:, 0] + 0.5, points[:, 1] + 0.5
    return bool(
        (x >= crop.left).all()
        and (x <= crop.right).all()
        and (y >= crop.top).all()
        and (y <= crop.bottom).all()
    )


def cut(crops_of, postures, image_size, yaw):
    """Return how many of all poses in all formats lose a sample of the body's surface."""
    samples, count = postures.samples(), 0
    for index in range(len(postures)):
        camera = fit_camera(samples[index], yaw, *image_size)
        seen = camera.project(samples[index])[:, :2]
        box = extents(postures, index, camera)["body"]
        count += sum(not inside(seen, crops_of(index, box, form)) for form in FORMATS)
    return count


@pytest.mark.parametrize("image_size", IMAGE_SIZES)
@pytest.mark.parametrize("yaw", [0.0, 90.0])
def test_no_pose_loses_any_of_its_body_in_any_format(postures, image_size, yaw):
    def ours(_, box, form):
        return choose_crop(image_size, (form.width, form.height), box)

    assert cut(ours, postures, image_size, yaw) == 0


def test_a_crop_that_does_not_look_cuts_many(postures):
    def blind(_, __, form):
        return choose_crop((512, 512), (form.width, form.height), None)

    assert cut(blind, postures, (512, 512), 0.0) > 100


def test_joints_alone_are_enough_to_keep_the_body(postures):
    points = keypoints_of(postures, [45.0], 512, 512)[:, 0]

    def by_joints(index, _, form):
        box = keypoints_box(points[index])
        return choose_crop((512, 512), (form.width, form.height), box, margin=0.0)

    assert cut(by_joints, postures, (512, 512), 45.0) == 0


sizes = st.tuples(st.integers(16, 2048), st.integers(16, 2048))


@st.composite
def pictures(draw):
    width, height = draw(sizes)
    x = sorted(draw(st.floats(-0.2 * width, 1.2 * width)) for _ in range(2))
    y = sorted(draw(st.floats(-0.2 * height, 1.2 * height)) for _ in range(2))
    return (width, height), (x[0], y[0], x[1], y[1])


@given(pictures(), st.sampled_from(FORMATS))
def test_a_crop_has_the_formats_shape_and_holds_what_the_picture_shows_of_the_figure(picture, form):
    (width, height), box = picture
    crop = choose_crop((width, height), (form.width, form.height), box)
    assert crop.width / crop.height == pytest.approx(form.width / form.height)
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
    assert not (wide and high), "background is continued along one axis at most"
    if wide:
        assert crop.left <= 1e-6
        assert crop.right >= width - 1e-6
    if high:
        assert crop.top <= 1e-6
        assert crop.bottom >= height - 1e-6


def test_the_crop_is_the_largest_that_fits_and_follows_the_figure():
    crop = choose_crop((1000, 1000), (9, 16), (700, 200, 800, 800))
    assert (crop.top, crop.height, crop.width) == (0, 1000, 562.5)
    assert crop.right == 1000
    middle = choose_crop((1000, 1000), (9, 16), (500, 200, 599, 800))
    assert middle.left == 550 - 562.5 / 2


def test_a_wide_figure_reaches_beyond_the_picture_above_and_below():
    crop = choose_crop((1000, 1000), (9, 16), (100, 400, 899, 599))
    border = MARGIN * 800
    assert (crop.left, crop.width) == pytest.approx((100 - border, 800 + 2 * border))
    assert crop.height == pytest.approx(crop.width * 16 / 9)
    left, top, right, bottom = crop.overhang(1000, 1000)
    assert (left, right) == (0, 0)
    assert top == pytest.approx(bottom)
    assert top > 200


def test_the_margin_gives_way_before_the_picture_ends():
    assert choose_crop((500, 500), (1, 1), (0, 0, 499, 499)).overhang(500, 500) == (0, 0, 0, 0)


@pytest.mark.parametrize("figure", [None, (-50, -50, -10, -10), (600, 0, 700, 100)])
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
        choose_crop(*sizes, figure, margin=margin)


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
