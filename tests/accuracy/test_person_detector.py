import numpy as np
import pytest
from onnx import TensorProto, helper

from posegen.accuracy.onnx_model import OnnxModel
from posegen.accuracy.person_detector import PersonDetector, family_of
from posegen.errors import EstimatorError, ParameterError
from tests.accuracy.tiny_models import dets_model, fixed_answers, raw_model, save


def opened(path, family="auto", **changes):
    model = OnnxModel(
        "estimator_options.detector", path, path.read_bytes(), providers=("CPUExecutionProvider",), threads=1
    )
    return PersonDetector(model, family, **{"size": 64, "threshold": 0.3, "overlap": 0.45} | changes)


def picture(red, green, blue, width=128, height=64):
    return np.full((height, width, 3), (red, green, blue), dtype=np.uint8)


def test_boxes_come_back_in_pixels_of_the_picture(tmp_path):
    detector = opened(dets_model(tmp_path / "d.onnx", [(8, 4, 24, 30), (30, 2, 60, 31)]))
    np.testing.assert_allclose(detector.find(picture(255, 255, 255)), [[16, 8, 48, 60], [60, 4, 120, 62]])


@pytest.mark.parametrize(("channel", "colour"), [(0, (0, 0, 255)), (1, (0, 255, 0)), (2, (255, 0, 0))])
def test_the_input_is_bgr(tmp_path, channel, colour):
    """Channel 0 of the input is blue: other colours leave the detector without a sure box."""
    detector = opened(dets_model(tmp_path / "d.onnx", [(8, 4, 24, 30)], channel=channel))
    others = tuple(255 - level for level in colour)
    assert len(detector.find(picture(*colour, width=64))) == 1
    assert len(detector.find(picture(*others, width=64))) == 0


@pytest.mark.parametrize("level", [60, 100])
@pytest.mark.parametrize("family", ["yolox", "rtmdet"])
def test_levels_reach_the_model_as_its_family_takes_them(tmp_path, family, level):
    """A score of level / 255, told from the threshold on both sides of it."""
    path = dets_model(tmp_path / "d.onnx", [(8, 4, 24, 30)], normalises=family == "rtmdet")
    grey = picture(level, level, level, width=64)
    assert len(opened(path, family, threshold=level / 255 - 0.01).find(grey)) == 1
    assert len(opened(path, family, threshold=level / 255 + 0.01).find(grey)) == 0


@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        ("rtmdet_nano.onnx", "auto", "rtmdet"),
        ("RTMDet-m.onnx", "auto", "rtmdet"),
        ("yolox_l.onnx", "auto", "yolox"),
        ("end2end.onnx", "auto", "yolox"),
        ("end2end.onnx", "rtmdet", "rtmdet"),
        ("rtmdet.onnx", "yolox", "yolox"),
    ],
)
def test_the_family_is_in_the_name_unless_it_is_said(tmp_path, name, family, expected):
    path = dets_model(tmp_path / name, [(8, 4, 24, 30)])
    model = OnnxModel("detector", path, path.read_bytes(), providers=("CPUExecutionProvider",), threads=1)
    assert family_of(model, family) == expected


def test_other_classes_than_people_are_left_out(tmp_path):
    path = dets_model(tmp_path / "d.onnx", [(8, 4, 24, 30), (30, 2, 60, 31)], labels=[16, 0])
    np.testing.assert_allclose(opened(path).find(picture(255, 255, 255)), [[60, 4, 120, 62]])


def test_boxes_that_overlap_too_much_are_one(tmp_path):
    path = dets_model(tmp_path / "d.onnx", [(8, 4, 24, 30), (9, 5, 24, 30), (9, 5, 40, 60)])
    assert len(opened(path).find(picture(255, 255, 255))) == 2


def test_a_box_of_no_size_is_left_out(tmp_path):
    path = dets_model(tmp_path / "d.onnx", [(8, 4, 8, 30), (8, 4, 8.5, 30), (20, 20, 10, 10), (8, 4, 24, 30)])
    assert len(opened(path).find(picture(255, 255, 255))) == 1


def test_no_box_at_all(tmp_path):
    path = dets_model(tmp_path / "d.onnx", np.zeros((0, 4)))
    assert opened(path).find(picture(255, 255, 255)).shape == (0, 4)


def test_boxes_that_are_not_finite_are_an_error(tmp_path):
    path = dets_model(tmp_path / "d.onnx", [(8, np.nan, 24, 30)])
    with pytest.raises(EstimatorError, match=r"d\.onnx': boxes that are not finite"):
        opened(path).find(picture(255, 255, 255))


def test_a_raw_output_that_is_not_finite_is_an_error(tmp_path):
    path = raw_model(tmp_path / "d.onnx", np.full((84, 85), np.nan))
    with pytest.raises(EstimatorError, match=r"d\.onnx': an output is not finite"):
        opened(path).find(picture(255, 255, 255))


@pytest.mark.parametrize(("values", "fits"), [(5, True), (6, False)])
def test_a_file_that_says_nothing_of_its_outputs_is_tried(tmp_path, values, fits):
    nodes = [
        helper.make_node("ReduceMin", ["input"], ["level"], keepdims=0),
        helper.make_node("Mul", ["level", "nothing"], ["zero"]),
        helper.make_node("Cast", ["zero"], ["number"], to=TensorProto.INT64),
        helper.make_node("Add", ["number", "wanted"], ["shape"]),
        helper.make_node("Reshape", ["rows", "shape"], ["dets"]),
    ]
    row = np.array([8, 4, 24, 30, 0.9, 0], np.float32)[:values]
    constants = [
        ("nothing", np.array(0, np.float32)),
        ("wanted", np.array([1, 1, values], np.int64)),
        ("rows", row),
    ]
    outputs = [("dets", TensorProto.FLOAT, ["batch", "count", "values"])]
    path = save(tmp_path / "d.onnx", nodes, [("input", [1, 3, 64, 64])], outputs, constants)
    if fits:
        np.testing.assert_allclose(opened(path).find(picture(0, 0, 0)), [[16, 8, 48, 60]])
    else:
        with pytest.raises(ParameterError, match="is expected"):
            opened(path)


def test_an_input_of_open_size_takes_the_one_that_is_asked_for(tmp_path):
    """It answers one box as large as its input."""
    nodes = [
        helper.make_node("Shape", ["input"], ["extents"]),
        helper.make_node("Gather", ["extents", "places"], ["corners"], axis=0),
        helper.make_node("Cast", ["corners"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["whole", "keep"], ["box"]),
        helper.make_node("Add", ["box", "sure"], ["dets"]),
    ]
    constants = [
        ("places", np.array([[[3, 2, 3, 2, 0]]], np.int64)),
        ("keep", np.array([[[0, 0, 1, 1, 0]]], np.float32)),
        ("sure", np.array([[[0, 0, 0, 0, 0.9]]], np.float32)),
    ]
    outputs = [("dets", TensorProto.FLOAT, ["batch", "count", "values"])]
    path = save(
        tmp_path / "open.onnx", nodes, [("input", ["batch", 3, "height", "width"])], outputs, constants
    )
    for size in (64, 96):
        [box] = opened(path, size=size).find(picture(0, 0, 0, width=128, height=128))
        np.testing.assert_allclose(box, [0, 0, 128, 128])


@pytest.mark.parametrize(
    "answers",
    [
        {"output": np.zeros((1, 83, 85))},
        {"output": np.zeros((1, 84, 4))},
        {"output": np.zeros((84, 85))},
        {"dets": np.zeros((1, 7, 5)), "more": np.zeros((1, 7, 3)), "labels": np.zeros((1, 7))},
        {"a": np.zeros((1, 7, 5)), "b": np.zeros((1, 7, 5))},
        {"boxes": np.zeros((1, 7, 4)), "scores": np.zeros((1, 7))},
    ],
)
def test_other_outputs_are_refused(tmp_path, answers):
    path = fixed_answers(tmp_path / "other.onnx", answers, (1, 3, 64, 64))
    with pytest.raises(ParameterError, match=r"other\.onnx' answers .*84 anchors.*is expected"):
        opened(path)


def test_detector_needs_no_labels(tmp_path):
    path = fixed_answers(tmp_path / "d.onnx", {"dets": np.array([[[8, 4, 24, 30, 0.9]]])}, (1, 3, 64, 64))
    np.testing.assert_allclose(opened(path).find(picture(0, 0, 0)), [[16, 8, 48, 60]])
