"""From a picture to a pose: whole chain on drawn pictures, and every way in which it is refused."""

import hashlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from posegen import pose_from_picture
from posegen.errors import NobodyFoundError, ParameterError, PictureError, PoseDataError
from posegen.images import MAX_BYTES, encode_png
from posegen.picture_poses import take
from posegen.picture_poses.source import read_source
from posegen.poses.fitting_3d import wrapped
from posegen.poses.library import PoseLibrary
from posegen.poses.pose import read_pose
from tests.picture_poses.people import Fake, drawn, encoded, person

BLANK = np.full((384, 384, 3), 200, np.uint8)


def test_a_drawn_figure_becomes_a_pose(estimator, tmp_path):
    path = tmp_path / "secret folder" / "photo.png"
    path.parent.mkdir()
    path.write_bytes(encoded(drawn("walking_stride", 35)))
    found = pose_from_picture(path, pose_id="my_walk", estimator=estimator)
    assert read_pose(found.pose.entry(), found.pose.category) == found.pose
    true = PoseLibrary.builtin().get("walking_stride").angles["root.yaw"]
    assert abs(wrapped(found.view.yaw - (35 - true))) < 25
    assert found.fitted.error < 0.03
    assert found.fitted.error_deg < 15
    assert found.depth_known
    assert found.keypoints.shape == (18, 3)
    assert (found.pose.name, found.pose.support) == ("My walk", "floor")
    assert "trunk" in found.pose.description
    provenance = found.pose.provenance
    assert provenance["picture"] == "photo.png"
    assert "secret" not in str(provenance)
    assert provenance["picture_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["estimator_weights_sha256"] == estimator.info.weights_sha256
    assert (provenance["person"], provenance["people"], provenance["depth"]) == (1, 1, "estimated")


def test_who_sits_is_given_a_seat(estimator):
    found = pose_from_picture(drawn("sitting_upright_on_chair", 35), pose_id="sits", estimator=estimator)
    assert found.pose.support == "seat"
    assert "sitting on a chair" in found.pose.description


def test_an_empty_picture_and_a_dotted_one_hold_nobody(estimator):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    for pixels in (BLANK, noise):
        with pytest.raises(NobodyFoundError, match="nobody was found"):
            pose_from_picture(pixels, pose_id="x", estimator=estimator)


def test_of_two_people_the_largest_or_the_one_that_is_named(estimator):
    pixels = np.concatenate([drawn("phone_call"), drawn("arms_raised_in_triumph")], axis=1)
    found = pose_from_picture(pixels, pose_id="x", estimator=estimator)
    assert [person.number for person in found.people] == [1, 2]
    assert found.person.area == max(person.area for person in found.people)
    left, right = (pose_from_picture(pixels, pose_id="x", person=who, estimator=estimator) for who in (1, 2))
    assert left.person.box[2] < 384 < right.person.box[0]
    with pytest.raises(PictureError) as caught:
        pose_from_picture(pixels, pose_id="x", person=3, estimator=estimator)
    for words in ("person is 3", "2 people", "left to right: 1 at x ", "; 2 at x ", "'largest'"):
        assert words in str(caught.value)


def test_a_picture_that_lies_on_its_side_is_turned_by_its_exif(estimator):
    pixels = drawn("waving_hello")
    exif = bytes.fromhex("4578696600004d4d002a000000080001011200030000000100060000") + bytes(4)
    upright = pose_from_picture(pixels, pose_id="x", estimator=estimator)
    turned = pose_from_picture(
        encoded(np.rot90(pixels), "JPEG", quality=95, exif=exif), pose_id="x", estimator=estimator
    )
    both = np.isfinite(upright.keypoints[:, 0]) & np.isfinite(turned.keypoints[:, 0])
    assert both.sum() >= 14
    assert np.abs(upright.keypoints[both, :2] - turned.keypoints[both, :2]).max() < 12


def test_large_pictures_are_made_small_and_coordinates_are_their_own():
    fake = Fake(person("waving_hello", size=1280))
    found = pose_from_picture(np.full((5120, 5120, 3), 9, np.uint8), pose_id="x", estimator=fake)
    assert fake.asked[0].shape == (1280, 1280, 3)
    assert (found.source.width, found.source.height) == (5120, 5120)
    expected = (fake.people[0].keypoints[0, :2] + 0.5) * 4 - 0.5
    np.testing.assert_allclose(found.keypoints[0, :2], expected)


@pytest.mark.parametrize("shape", [(384, 384), (384, 384, 1), (384, 384, 3), (384, 384, 4)])
def test_grey_and_transparent_pixels_are_taken(shape):
    fake = Fake(person("waving_hello"))
    pose_from_picture(np.zeros(shape, np.uint8), pose_id="x", estimator=fake)
    assert fake.asked[0].shape == (384, 384, 3)
    assert (fake.asked[0] == (255 if shape[2:] == (4,) else 0)).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_formats(form):
    fake = Fake(person("waving_hello"))
    assert (
        pose_from_picture(encoded(BLANK, form), pose_id="x", estimator=fake).pose.provenance["picture"]
        is None
    )


def test_without_depth_the_result_says_so():
    found = pose_from_picture(BLANK, pose_id="x", estimator=Fake(person("waving_hello", world=False)))
    assert not found.depth_known
    assert found.pose.provenance["depth"] == "a guess"
    assert found.pose.provenance["fit_error_deg"] is None
    assert any("depth" in note for note in found.notes)
    assert "depth a guess" in repr(found)


def test_legs_outside_the_picture_are_straight():
    someone = person("running_sprint", size=384)
    someone.keypoints[13:, 1] += 400
    found = pose_from_picture(BLANK, pose_id="x", estimator=Fake(someone))
    assert not [name for name in found.pose.angles if "_knee." in name or "_hip." in name]
    assert set(found.person.cut_off) == {"left_knee", "right_knee", "left_ankle", "right_ankle"}
    assert any("outside the picture" in note and "left knee" in note for note in found.notes)


def test_hidden_joints_are_named():
    someone = person("waving_hello")
    someone.keypoints[9, 2] = 0.1
    found = pose_from_picture(BLANK, pose_id="x", estimator=Fake(someone))
    assert found.person.hidden == ("left_wrist",)
    assert any("hidden" in note and "left wrist" in note for note in found.notes)


def test_too_few_keypoints_are_refused():
    someone = person("waving_hello")
    someone.keypoints[5:, 2] = 0.1
    with pytest.raises(PictureError, match=r"person 1 5 of 18 keypoints are seen; at least 8"):
        pose_from_picture(BLANK, pose_id="x", estimator=Fake(someone))
    someone.keypoints[:, 2] = 0.1
    with pytest.raises(NobodyFoundError):
        pose_from_picture(BLANK, pose_id="x", estimator=Fake(someone))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("none.png", "none.png: there is no such file"),
        (".", "is no file"),
        (b"some words", "not a PNG, JPEG or WebP picture"),
        (b"", "empty"),
        (np.zeros((4, 4, 2), np.uint8), r"not uint8 of shape \(4, 4, 2\)"),
        (np.zeros((40, 40, 3)), "not float64"),
        (np.zeros((20, 40, 3), np.uint8), "40 x 20 pixels; each side must have at least 32"),
    ],
)
def test_what_is_no_picture_is_refused(picture, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PictureError, match=words) as caught:
        pose_from_picture(picture, pose_id="x", estimator=Fake())
    assert caught.value.exit_code == 2


def test_wrong_words_are_refused_before_anything_is_opened(monkeypatch):
    monkeypatch.setattr(take, "_open_installed", lambda: pytest.fail("opened"))
    for words, message in (
        ({"pose_id": "My Pose"}, "lower case"),
        ({"pose_id": "x", "category": "standin"}, "did you mean 'standing'"),
        ({"pose_id": "x", "tags": []}, "tags"),
    ):
        with pytest.raises(PoseDataError, match=message):
            pose_from_picture(BLANK, **words)


def test_without_an_estimator_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(take, "choose_estimator", lambda name, options: None)
    monkeypatch.setattr(take, "ESTIMATORS", {})
    monkeypatch.setattr(
        take,
        "ESTIMATORS",
        {take.DEFAULT_ESTIMATOR: type("Kind", (), {"missing": lambda self: ["pip install it"]})()},
    )
    with pytest.raises(ParameterError, match="none is installed; pip install it"):
        pose_from_picture(BLANK, pose_id="x")


def test_people_that_are_named_wrongly():
    for who in (0, -1, "last", 2):
        with pytest.raises(PictureError, match="1 person is in it"):
            pose_from_picture(BLANK, pose_id="x", person=who, estimator=Fake(person("waving_hello")))


def test_what_has_no_end_is_not_read(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(PictureError, match="is no file"):
        read_source(pipe)
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PictureError, match="at most"):
        read_source(large)


def test_empty_words_are_refused_not_replaced():
    for words in ({"description": ""}, {"name": ""}):
        with pytest.raises(PoseDataError, match="must be a text that is not empty"):
            pose_from_picture(np.zeros((64, 64, 3), np.uint8), pose_id="x", **words)


def test_a_photo_of_a_hundred_megapixels_is_read_small():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12000, 9000), (90, 120, 150)).save(buffer, "JPEG", exif=exif)
    source = read_source(buffer.getvalue())
    assert (source.width, source.height) == (9000, 12000)
    assert source.pixels.shape == (1280, 960, 3)
    assert source.scale == pytest.approx(9000 / 960)
    with pytest.raises(PictureError, match="in a JPEG"):
        read_source(encode_png(np.zeros((8001, 8001, 3), np.uint8)))
