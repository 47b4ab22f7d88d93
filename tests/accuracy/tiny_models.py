"""Small real ONNX models whose answers follow from the picture, so that the whole chain can be checked."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


def save(path, nodes, inputs, outputs, constants=()):
    """Write a checked model; `constants` are pairs of name and array."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def pose_model(
    path,
    *,
    keypoints=17,
    width=96,
    height=128,
    batch="batch",
    bins=2,
    declared=True,
    names=("simcc_x", "simcc_y"),
    rows_first=False,
    factor=1.0,
):
    """Write a model whose keypoint k is the brightest place of channel k % 3, with its brightness as score.

    `names` are of the outputs, columns first; `factor` is the score of white.
    """
    constants = [
        ("mean", np.array(MEAN, np.float32).reshape(3, 1, 1)),
        ("deviation", np.array(DEVIATION, np.float32).reshape(3, 1, 1)),
        ("white", np.array(255.0 / factor, np.float32)),
        ("channels", np.array([k % 3 for k in range(keypoints)], np.int64)),
        ("stretch", np.array([1, 1, bins], np.float32)),
    ]
    nodes = [
        helper.make_node("Mul", ["input", "deviation"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["levels"]),
        helper.make_node("Div", ["levels", "white"], ["picture"]),
        helper.make_node("Gather", ["picture", "channels"], ["maps"], axis=1),
    ]
    for name, axis in zip(names, (2, 3), strict=True):
        nodes += [
            helper.make_node("ReduceMax", ["maps"], [f"{name}_profile"], axes=[axis], keepdims=0),
            helper.make_node(
                "Resize",
                [f"{name}_profile", "", "stretch"],
                [name],
                mode="linear",
                coordinate_transformation_mode="asymmetric",
            ),
        ]
    extents = (bins * width, bins * height) if declared else ("across", "down")
    outputs = [
        (name, TensorProto.FLOAT, [batch, keypoints if declared else "K", extent])
        for name, extent in zip(names, extents, strict=True)
    ]
    if rows_first:
        outputs.reverse()
    return save(path, nodes, [("input", [batch, 3, height, width])], outputs, constants)


def brightness(normalises, channel, source="input"):
    """Return nodes and constants that give the greatest level, 0 to 1, of one channel of the input."""
    mean, deviation = (MEAN[2 - channel], DEVIATION[2 - channel]) if normalises else (0.0, 1.0)
    constants = [
        ("channel", np.array([channel], np.int64)),
        ("deviation", np.array(deviation / 255, np.float32)),
        ("mean", np.array(mean / 255, np.float32)),
    ]
    nodes = [
        helper.make_node("Gather", [source, "channel"], ["one"], axis=1),
        helper.make_node("ReduceMax", ["one"], ["greatest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["greatest", "deviation"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["sure"]),
    ]
    return nodes, constants


def dets_model(path, boxes, *, labels=None, size=64, normalises=False, channel=0):
    """Write a detector that answers `boxes` (in its input's pixels), as sure as a channel (BGR) is bright."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    nodes, constants = brightness(normalises, channel)
    constants += [
        ("boxes", boxes[None]),
        ("ones", np.ones((1, len(boxes), 1), np.float32)),
    ]
    nodes += [
        helper.make_node("Mul", ["ones", "sure"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["dets"], axis=2),
    ]
    outputs = [("dets", TensorProto.FLOAT, [1, "count", 5])]
    if labels is not None:
        constants.append(("classes", np.array([labels], np.int64)))
        nodes.append(helper.make_node("Identity", ["classes"], ["labels"]))
        outputs.append(("labels", TensorProto.INT64, [1, "count"]))
    return save(path, nodes, [("input", [1, 3, size, size])], outputs, constants)


def raw_model(path, raw, *, size=64, channel=0):
    """Write a YOLOX without its last steps: it answers `raw`, as sure of objects as a channel is bright."""
    raw = np.asarray(raw, np.float32)
    nodes, constants = brightness(normalises=False, channel=channel, source="images")
    certainty = np.zeros(raw.shape[1], np.float32)
    certainty[4] = 1
    constants += [("raw", raw[None]), ("keep", 1 - certainty), ("certainty", certainty)]
    nodes += [
        helper.make_node("Mul", ["sure", "certainty"], ["weight"]),
        helper.make_node("Add", ["keep", "weight"], ["weights"]),
        helper.make_node("Mul", ["raw", "weights"], ["output"]),
    ]
    outputs = [("output", TensorProto.FLOAT, [1, *raw.shape])]
    return save(path, nodes, [("images", [1, 3, size, size])], outputs, constants)


def fixed_answers(path, answers, shape=(1, 3, 128, 96)):
    """Write a model that gives the same arrays, by name, whatever it sees."""
    nodes = [helper.make_node("Identity", [f"{name}_constant"], [name]) for name in answers]
    outputs = [(name, TensorProto.FLOAT, array.shape) for name, array in answers.items()]
    constants = [(f"{name}_constant", array.astype(np.float32)) for name, array in answers.items()]
    return save(path, nodes, [("input", shape)], outputs, constants)
