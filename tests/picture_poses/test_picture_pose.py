"""What one sees of a pose from a picture, and how it is kept."""

import json

import numpy as np
import pytest
from filelock import FileLock

from posegen import PoseLibrary, pose_from_picture
from posegen.controlnet.draw import draw_map
from posegen.errors import PoseDataError, StorageError
from posegen.picture_poses import picture_pose
from tests.picture_poses.people import Fake, drawn, person


@pytest.fixture(scope="module")
def found():
    return pose_from_picture(drawn("waving_hello"), pose_id="my_wave", estimator=Fake(person("waving_hello")))


def test_control_maps(found):
    assert found.control_map(320, 256).shape == (256, 320, 3)
    over = found.control_map_over_picture(384)
    np.testing.assert_array_equal(
        over[:, :, 0] > 0, draw_map(np.nan_to_num(_all(found)), 384, 384)[:, :, 0] > 0
    )
    assert found.control_map_over_picture(192).shape == (192, 192, 3)


def _all(found):
    return np.c_[found.keypoints[:, :2], np.isfinite(found.keypoints[:, 0])]


def test_the_preview_shows_four_pictures_beside_each_other(found):
    assert found.preview_pixels.shape == (512, 4 * 512, 3)
    assert found._repr_jpeg_().startswith(b"\xff\xd8")
    np.testing.assert_array_equal(found.preview_pixels, np.asarray(found.preview().image))
    assert repr(found).startswith("<PicturePose my_wave: yaw ")


def test_it_is_kept_beside_others_and_read_again(found, tmp_path):
    path = tmp_path / "new" / "mine.json"
    found.save(path)
    with pytest.raises(PoseDataError, match="has this id already"):
        found.save(path)
    document = json.loads(path.read_text())
    document["poses"].append({**document["poses"][0], "id": "other", "angles": {"both_knee.flexion": 9}})
    path.write_text(json.dumps(document))
    found.save(path, replace=True)
    assert json.loads(path.read_text())["poses"] == document["poses"]
    library = PoseLibrary.load(path)
    assert library.get("my_wave") == found.pose
    assert library.get("my_wave").provenance["view_yaw"] == found.view.yaw
    assert [file.name for file in path.parent.iterdir() if not file.name.endswith(".lock")] == ["mine.json"]


def test_a_file_that_cannot_take_it_stays_as_it_is(found, tmp_path):
    path = tmp_path / "mine.json"
    for text, words in (
        ('{"category": "yoga", "poses": []}', "a file has one category"),
        ('{"category": "standing"}', "a list"),
        ("{", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(PoseDataError, match=words):
            found.save(path)
        assert path.read_text() == text
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PoseDataError, match="UTF-8"):
        found.save(path)
    with pytest.raises(PoseDataError, match="folder"):
        found.save(tmp_path)
    builtin = pose_from_picture(
        drawn("waving_hello"), pose_id="yoga_tree", estimator=Fake(person("waving_hello"))
    )
    with pytest.raises(PoseDataError, match="built-in library has this id"):
        builtin.save(tmp_path / "other.json", replace=True)


def test_a_library_that_somebody_keeps_locked_is_told(found, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_pose, "LOCK_S", 0.05)
    with FileLock(tmp_path / ".mine.json.lock"), pytest.raises(StorageError, match="another process"):
        found.save(tmp_path / "mine.json")
