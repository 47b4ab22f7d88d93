import hashlib
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from posegen.accuracy.frames import Picture
from posegen.accuracy.onnx_pose import DWPose, RTMPose
from posegen.accuracy.process import EstimatorProcess
from posegen.accuracy.registry import ESTIMATORS, EstimatorSpec, choose_estimator, open_estimator
from posegen.errors import EstimatorError, ParameterError
from tests.accuracy.tiny_models import dets_model, fixed_answers, pose_model, raw_model, save

PLACES = ((0.30, 0.25), (0.55, 0.60), (0.75, 0.40))
"""Where the peak of red, green and blue is, as shares of a box."""


def draw_peaks(pixels, box, strengths=(255, 240, 225)):
    """Draw a cone of each channel into a box; return their tips, shape (3, 2)."""
    left, top, right, bottom = box
    tips = np.array([(left + x * (right - left), top + y * (bottom - top)) for x, y in PLACES])
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    reach = 0.35 * min(right - left, bottom - top)
    for channel, ((x, y), strength) in enumerate(zip(tips, strengths, strict=True)):
        cone = strength * (1 - np.hypot(columns - x, rows - y) / reach)
        pixels[..., channel] = np.maximum(pixels[..., channel], np.clip(cone, 0, 255)).astype(np.uint8)
    return tips


def peaks_in(width, height, *boxes, **how):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    return pixels, [draw_peaks(pixels, box, **how) for box in boxes]


def assert_peaks(person, tips, tolerance):
    """The 17 keypoints are at the tips of channel k % 3."""
    for k in range(17):
        np.testing.assert_allclose(person.keypoints[k, :2], tips[k % 3], atol=tolerance)


def in_input(boxes, width, height, size=64):
    """Return boxes of a picture as a letterboxed input has them."""
    return np.asarray(boxes, dtype=float) * min(size / width, size / height)


@pytest.fixture
def pose(tmp_path):
    return pose_model(tmp_path / "pose.onnx")


# The chain: crop, model, decoding and the way back


@pytest.mark.parametrize(
    ("width", "height"), [(96, 128), (640, 200), (150, 700), (48, 40), (1001, 997), (96, 96)]
)
def test_without_a_detector_the_whole_picture_is_one_box(pose, width, height):
    pixels, [tips] = peaks_in(width, height, (0, 0, width, height))
    [person] = RTMPose(model=pose).estimate(pixels)
    pixels_per_input = 1.25 * max(width / 96, height / 128)
    assert_peaks(person, tips, 0.75 * pixels_per_input + 0.3)
    assert person.keypoints.shape == (17, 3)
    assert person.world is None


@pytest.mark.parametrize(
    "box",
    [
        (100, 60, 300, 350),  # upright
        (40, 200, 620, 280),  # lying
        (5, 5, 60, 90),  # small, in a corner
        (560, 380, 640, 480),  # at the other corner
        (300, 20, 340, 470),  # slender
    ],
)
def test_boxes_anywhere_lead_to_the_same_places(tmp_path, pose, box):
    pixels, [tips] = peaks_in(640, 480, box)
    detector = dets_model(tmp_path / "detector.onnx", in_input([box], 640, 480))
    [person] = RTMPose(model=pose, detector=detector).estimate(pixels)
    pixels_per_input = 1.25 * max((box[2] - box[0]) / 96, (box[3] - box[1]) / 128)
    assert_peaks(person, tips, 0.75 * pixels_per_input + 0.3)


def test_places_have_no_bias(pose):
    """Errors of the bins are half a pixel of the input at most and cancel out over many places."""
    estimator = RTMPose(model=pose)
    random = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        left, top = random.uniform(-10, 10, 2)
        pixels, [tips] = peaks_in(240, 320, (left, top, left + 240, top + 320))
        [person] = estimator.estimate(pixels)
        errors.append(person.keypoints[:3, :2] - tips)
    # One pixel of the input is 3.1 pixels of the picture.
    assert np.abs(np.mean(errors, axis=(0, 1))).max() < 0.25
    assert np.abs(errors).max() < 2.4


def test_channels_reach_the_model_as_rgb_from_0_to_1(pose):
    pixels, _ = peaks_in(192, 256, (0, 0, 192, 256), strengths=(250, 150, 100))
    [person] = RTMPose(model=pose).estimate(pixels)
    np.testing.assert_allclose(person.keypoints[:3, 2], np.array([250, 150, 100]) / 255, atol=0.03)


def test_the_picture_is_left_alone_and_may_be_read_only_or_a_view(pose):
    pixels, _ = peaks_in(192, 256, (0, 0, 192, 256))
    expected = RTMPose(model=pose).estimate(pixels)[0].keypoints
    wide = np.zeros((256, 400, 3), dtype=np.uint8)
    wide[:, 100:292] = pixels
    wide.setflags(write=False)
    np.testing.assert_array_equal(RTMPose(model=pose).estimate(wide[:, 100:292])[0].keypoints, expected)


# Layouts and shapes of the files


@pytest.mark.parametrize("keypoints", [17, 26, 133])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("batch", ["batch", 1])
def test_every_layout_gives_coco_17(tmp_path, keypoints, declared, batch):
    path = pose_model(tmp_path / "pose.onnx", keypoints=keypoints, declared=declared, batch=batch)
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = RTMPose(model=path).estimate(pixels)
    assert_peaks(person, tips, 2.5)


@pytest.mark.parametrize("keypoints", [1, 18, 21, 106, 134])
def test_other_layouts_are_refused(tmp_path, keypoints):
    path = pose_model(tmp_path / "hand.onnx", keypoints=keypoints)
    with pytest.raises(ParameterError, match=r"hand\.onnx.*17 \(COCO\) or 26 \(Halpe-26\) or 133") as caught:
        RTMPose(model=path)
    assert caught.value.parameter == "estimator_options.model"


def test_dwpose_has_whole_bodies(tmp_path, pose):
    with pytest.raises(ParameterError, match=r"dwpose expects .*133"):
        DWPose(model=pose)
    whole = pose_model(tmp_path / "whole.onnx", keypoints=133)
    assert DWPose(model=whole).info.name == "dwpose"


@pytest.mark.parametrize("bins", [1, 2, 3])
def test_the_bins_per_pixel_are_read_from_the_shapes(tmp_path, bins):
    path = pose_model(tmp_path / "pose.onnx", bins=bins)
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = RTMPose(model=path).estimate(pixels)
    assert_peaks(person, tips, 2.6)


@pytest.mark.parametrize("width", [96, 128])
def test_outputs_are_told_apart_by_name(tmp_path, width):
    path = pose_model(tmp_path / "pose.onnx", width=width, height=128, rows_first=True)
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = RTMPose(model=path).estimate(pixels)
    assert_peaks(person, tips, 2.6)


def test_without_names_columns_come_first(tmp_path):
    path = pose_model(tmp_path / "pose.onnx", width=128, height=128, names=("a", "b"))
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = RTMPose(model=path).estimate(pixels)
    assert_peaks(person, tips, 2.6)


@pytest.mark.parametrize(
    ("answers", "shape"),
    [
        ({"heatmaps": np.zeros((1, 17, 64, 48))}, (1, 3, 256, 192)),
        ({"simcc_x": np.zeros((1, 17, 192)), "simcc_y": np.zeros((1, 17, 255))}, (1, 3, 128, 96)),
        ({"simcc_x": np.zeros((1, 17, 192)), "simcc_y": np.zeros((1, 26, 256))}, (1, 3, 128, 96)),
        ({"simcc_x": np.zeros((1, 17, 97)), "simcc_y": np.zeros((1, 17, 97))}, (1, 3, 96, 96)),
        (
            {
                "simcc_x": np.zeros((1, 17, 192)),
                "simcc_y": np.zeros((1, 17, 256)),
                "simcc_z": np.zeros((1, 17, 256)),
            },
            (1, 3, 128, 96),
        ),
    ],
)
def test_models_with_other_outputs_are_refused(tmp_path, answers, shape):
    path = fixed_answers(tmp_path / "other.onnx", answers, shape)
    with pytest.raises(ParameterError, match=r"other\.onnx' answers .*; rtmpose expects simcc_x"):
        RTMPose(model=path)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ((1, 1, 128, 96), "takes input"),
        ((1, 3, 128), "takes input"),
        ((4, 3, 128, 96), "takes 4 pictures at once"),
        ((1, 3, "height", "width"), "size of its input open"),
    ],
)
def test_models_with_other_inputs_are_refused(tmp_path, shape, problem):
    answers = {"simcc_x": np.zeros((1, 17, 192)), "simcc_y": np.zeros((1, 17, 256))}
    path = fixed_answers(tmp_path / "other.onnx", answers, shape)
    with pytest.raises(ParameterError, match=problem):
        RTMPose(model=path)


# Who is there


@pytest.mark.parametrize("batch", ["batch", 1])
def test_two_people_the_larger_first(tmp_path, batch):
    small, large = (20, 40, 110, 160), (150, 30, 310, 230)
    pixels, [small_tips, large_tips] = peaks_in(320, 240, small, large)
    pose = pose_model(tmp_path / "pose.onnx", batch=batch)
    detector = dets_model(tmp_path / "detector.onnx", in_input([small, large], 320, 240))
    first, second = RTMPose(model=pose, detector=detector).estimate(pixels)
    assert_peaks(first, large_tips, 2.0)
    assert_peaks(second, small_tips, 1.2)
    assert first.area > second.area


def test_a_batch_gives_what_one_by_one_gives(tmp_path):
    boxes = [(20, 40, 110, 160), (150, 30, 310, 230), (100, 100, 200, 239)]
    pixels, _ = peaks_in(320, 240, *boxes)
    detector = dets_model(tmp_path / "detector.onnx", in_input(boxes, 320, 240))
    found = [
        RTMPose(model=pose_model(tmp_path / f"{batch}.onnx", batch=batch), detector=detector).estimate(pixels)
        for batch in ("batch", 1)
    ]
    assert len(found[0]) == len(found[1]) == 3
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize(("batch", "expected"), [("batch", [2]), (1, [1, 1])])
def test_people_go_through_at_once_where_the_file_allows_it(tmp_path, batch, expected):
    boxes = [(20, 40, 110, 160), (150, 30, 310, 230)]
    pixels, _ = peaks_in(320, 240, *boxes)
    pose = pose_model(tmp_path / "pose.onnx", batch=batch)
    detector = dets_model(tmp_path / "detector.onnx", in_input(boxes, 320, 240))
    estimator = RTMPose(model=pose, detector=detector)
    session, sizes = estimator._model._session, []

    class Spy:
        def run(self, names, given):
            sizes.extend(len(array) for array in given.values())
            return session.run(names, given)

    estimator._model._session = Spy()
    assert len(estimator.estimate(pixels)) == 2
    assert sizes == expected


def test_most_people_takes_the_surest_boxes(tmp_path, pose):
    """The detector is equally sure of all; the earlier ones stay."""
    boxes = [(20, 40, 110, 160), (150, 30, 310, 230)]
    pixels, [tips, _] = peaks_in(320, 240, *boxes)
    detector = dets_model(tmp_path / "detector.onnx", in_input(boxes, 320, 240))
    [person] = RTMPose(model=pose, detector=detector, most_people=1).estimate(pixels)
    assert_peaks(person, tips, 1.2)


def test_nobody_with_a_detector(tmp_path, pose):
    detector = dets_model(tmp_path / "detector.onnx", [(1, 1, 60, 60)], size=64)
    assert RTMPose(model=pose, detector=detector).estimate(np.zeros((64, 64, 3), dtype=np.uint8)) == []


def test_nobody_without_a_detector(pose):
    assert RTMPose(model=pose).estimate(np.full((64, 64, 3), 40, dtype=np.uint8)) == []


def test_a_keypoint_below_the_threshold_is_not_found(pose):
    pixels, _ = peaks_in(192, 256, (0, 0, 192, 256), strengths=(250, 60, 150))
    [person] = RTMPose(model=pose).estimate(pixels)
    found = np.isfinite(person.keypoints).all(axis=1)
    assert found.tolist() == [k % 3 != 1 for k in range(17)]
    assert np.isnan(person.keypoints[~found]).all()
    [low] = RTMPose(model=pose, keypoint_threshold=0.1).estimate(pixels)
    assert np.isfinite(low.keypoints).all()


def test_confidence_is_at_most_one(tmp_path):
    pixels, _ = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = RTMPose(model=pose_model(tmp_path / "pose.onnx", factor=1.7)).estimate(pixels)
    assert person.keypoints[:, 2].max() == 1.0


# What goes wrong


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_an_error(tmp_path, value):
    answers = {"simcc_x": np.zeros((1, 17, 192)), "simcc_y": np.full((1, 17, 256), value)}
    path = fixed_answers(tmp_path / "broken.onnx", answers)
    with pytest.raises(EstimatorError, match=r"broken\.onnx.*not finite") as caught:
        RTMPose(model=path).estimate(np.zeros((64, 64, 3), dtype=np.uint8))
    assert caught.value.estimator == "rtmpose"


def test_a_model_that_does_not_run_is_refused(tmp_path):
    """Its outputs' shapes are open, so that it is tried: its input does not fit the shape that it wants."""
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["level"], keepdims=0),
        helper.make_node("Cast", ["level"], ["number"], to=TensorProto.INT64),
        helper.make_node("Add", ["number", "wanted"], ["shape"]),
        helper.make_node("Reshape", ["input", "shape"], ["simcc_x"]),
        helper.make_node("Identity", ["simcc_x"], ["simcc_y"]),
    ]
    outputs = [(name, TensorProto.FLOAT, ["n", "k", "bins"]) for name in ("simcc_x", "simcc_y")]
    wanted = [("wanted", np.array([1, 17, 7], np.int64))]
    path = save(tmp_path / "broken.onnx", nodes, [("input", ["n", 3, 96, 96])], outputs, wanted)
    with pytest.raises(ParameterError, match=r"broken\.onnx' does not run: "):
        RTMPose(model=path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"<html>404</html>", b"\x08\x08" + b"\xff" * 40])
def test_a_file_that_is_no_onnx_model_is_refused(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ParameterError, match=r"model\.onnx' cannot be opened as an ONNX model"):
        RTMPose(model=path)


def test_a_file_that_has_gone_is_told(tmp_path, pose):
    with pytest.raises(ParameterError, match="cannot be read: No such file") as caught:
        RTMPose(model=pose, detector=tmp_path / "gone.onnx")
    assert caught.value.parameter == "estimator_options.detector"


def test_a_provider_that_is_not_there_is_told(pose):
    with pytest.raises(
        ParameterError, match=r"providers: NoSuchProvider not available.*CPUExecutionProvider"
    ):
        RTMPose(model=pose, providers=("NoSuchProvider", "CPUExecutionProvider"))


# Registry, options and the record


def test_the_hash_is_over_both_files_the_model_first(tmp_path, pose):
    detector = dets_model(tmp_path / "detector.onnx", [(0, 0, 9, 9)])
    one, other = pose.read_bytes(), detector.read_bytes()
    assert RTMPose(model=pose).info.weights_sha256 == hashlib.sha256(one).hexdigest()
    info = RTMPose(model=pose, detector=detector).info
    assert info.weights_sha256 == hashlib.sha256(one + other).hexdigest()
    assert info.name == "rtmpose"
    assert info.version.startswith("onnxruntime 1.")


def test_chosen_by_name_with_its_options(tmp_path, pose):
    options = {"model": str(pose), "keypoint_threshold": 0.4, "providers": ["CPUExecutionProvider"]}
    spec = choose_estimator("rtmpose", options)
    assert spec == EstimatorSpec("rtmpose", {"model": str(pose), "keypoint_threshold": 0.4})
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    [person] = open_estimator(spec).estimate(pixels)
    assert_peaks(person, tips, 2.5)


def test_a_relative_path_means_the_same_everywhere(tmp_path, pose, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_estimator("rtmpose", {"model": pose.name}).options == {"model": str(pose)}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert choose_estimator("rtmpose", {"model": f"~/{pose.name}"}).options == {"model": str(pose)}


@pytest.mark.parametrize("name", ["rtmpose", "dwpose"])
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "model: Field required"),
        ({"model": "no/such/file.onnx"}, r"no/such/file\.onnx' does not exist; the path of a model's \.onnx"),
        ({"model": "."}, "is not a file"),
        ({"model": None}, "model: "),
        ({"model": "POSE", "detector": "no/such.onnx"}, r"no/such\.onnx' does not exist"),
        ({"model": "POSE", "keypoint_threshold": 0}, "keypoint_threshold"),
        ({"model": "POSE", "detector_size": 100}, "detector_size"),
        ({"model": "POSE", "providers": []}, "providers"),
        ({"model": "POSE", "weights": "x"}, "weights: Extra inputs"),
    ],
)
def test_wrong_options_are_refused(pose, name, options, problem):
    given = {key: str(pose) if value == "POSE" else value for key, value in options.items()}
    with pytest.raises(ParameterError, match=problem) as caught:
        choose_estimator(name, given)
    assert caught.value.parameter == "estimator_options"


def test_a_wrong_file_shows_when_it_is_chosen(tmp_path, pose):
    with pytest.raises(ParameterError, match="133"):
        choose_estimator("dwpose", {"model": str(pose)})
    text = tmp_path / "notes.onnx"
    text.write_text("not a model")
    with pytest.raises(ParameterError, match="cannot be opened"):
        choose_estimator("rtmpose", {"model": str(pose), "detector": str(text)})


def test_nothing_heavy_is_imported_before_it_is_used():
    code = (
        "import sys; import posegen, posegen.accuracy.registry as registry;"
        "registry.choose_estimator('off', {}); import posegen.accuracy.onnx_pose; print(*sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"onnxruntime", "cv2", "mediapipe"}.isdisjoint(child.stdout.split())


def test_what_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("rtmpose", "dwpose"):
        [sentence] = ESTIMATORS[name].missing()
        assert "onnxruntime" in sentence
        assert "posegen[onnx]" in sentence


def test_raw_yolox_from_end_to_end(tmp_path, pose):
    """Two people as YOLOX itself says it, several boxes each, in a picture that has to be made smaller."""
    boxes = [(20, 40, 110, 160), (150, 30, 310, 230)]
    raw = np.zeros((84, 85), dtype=np.float32)
    for box, places in zip(in_input(boxes, 320, 240), ([9, 10, 64], [12, 13, 70]), strict=True):
        for place in places:
            stride, index, across = (8, place, 8) if place < 64 else (16, place - 64, 4)
            row, column = divmod(index, across)
            middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            raw[place, :2] = middle / stride - (column, row)
            raw[place, 2:4] = np.log(extent / stride)
            raw[place, 4], raw[place, 5] = 1.0, 0.9 - place / 1000
    pixels, [small_tips, large_tips] = peaks_in(320, 240, *boxes)
    detector = raw_model(tmp_path / "yolox.onnx", raw, channel=2)
    first, second = RTMPose(model=pose, detector=detector).estimate(pixels)
    assert_peaks(first, large_tips, 2.0)
    assert_peaks(second, small_tips, 1.2)


def test_it_works_in_a_process_of_its_own(pose):
    pixels, [tips] = peaks_in(192, 256, (0, 0, 192, 256))
    process = EstimatorProcess(choose_estimator("rtmpose", {"model": str(pose)}))
    try:
        assert process.open() == RTMPose(model=pose).info
        [person] = process.estimate(Picture(pixels.tobytes(), pixels.shape[:2])).people
    finally:
        process.close()
    assert_peaks(person, tips, 2.5)
