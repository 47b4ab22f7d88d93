"""Finds people's boxes with a YOLOX or RTMDet model of the user's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.onnx_model import OnnxModel, Shape
from posegen.accuracy.options import DetectorFamily
from posegen.accuracy.person_boxes import anchors, keep_apart, letterbox, yolox_people
from posegen.accuracy.top_down import DEVIATION, MEAN
from posegen.errors import EstimatorError

FloatArray = NDArray[np.float64]

EXPECTED = (
    "YOLOX's raw output (1, anchors, 5 + classes), or boxes after non-maximum suppression: dets (1, N, 5) "
    "and perhaps labels (1, N)"
)

SMALLEST_PX = 2.0
"""Side of the smallest box that is looked at, in pixels of the picture."""


class PersonDetector:
    """A detector whose first class is people.

    Parameters
    ----------
    model : OnnxModel
    family : str
    size : int
        Side of its input, where the file leaves that open.
    threshold : float
        Least score of a box, inclusive.
    overlap : float
        Greatest intersection over union of two boxes.

    Raises
    ------
    ParameterError
        The model's outputs are not a detector's.
    """

    def __init__(
        self, model: OnnxModel, family: DetectorFamily, *, size: int, threshold: float, overlap: float
    ) -> None:
        self._model = model
        self._normalises = family_of(model, family) == "rtmdet"
        self._height, self._width = (extent or size for extent in model.input_shape[2:])
        self._threshold = threshold
        self._overlap = overlap
        shapes = list(model.output_shapes.values())
        if any(len(shape) == 3 and shape[2] is None for shape in shapes) or () in shapes:
            shapes = list(model.probed_shapes(self._width, self._height).values())
        self._dets, self._labels, self._raw = self._sort(shapes)

    def _sort(self, shapes: list[Shape]) -> tuple[int | None, int | None, int | None]:
        """Return which output holds boxes, which their classes, and which is YOLOX's raw one."""
        dets = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 5]
        labels = [i for i, shape in enumerate(shapes) if len(shape) == 2]
        if len(dets) == 1 and len(labels) == len(shapes) - 1 <= 1:
            return dets[0], labels[0] if labels else None, None
        count = len(anchors(self._width, self._height))
        if len(shapes) == 1 and len(shapes[0]) == 3:
            _, found, values = shapes[0]
            if found in (None, count) and values is not None and values > 5:
                return None, None, 0
        outputs = ", ".join(f"{name} {shape}" for name, shape in self._model.output_shapes.items())
        raise self._model.refusal(
            f"answers {outputs}; for an input of {self._width}x{self._height} ({count} anchors) a person "
            f"detector with {EXPECTED} is expected"
        )

    def find(self, pixels: NDArray[np.uint8]) -> FloatArray:
        """Return people's boxes, the surest first.

        Parameters
        ----------
        pixels : uint8 array, shape (H, W, 3)
            sRGB.

        Returns
        -------
        float array, shape (N, 4)
            Left, top, right and bottom in pixels of the picture; they may reach beyond it.

        Raises
        ------
        EstimatorError
            The model gave up, or its answer makes no sense.
        """
        framed, ratio = letterbox(pixels, self._width, self._height)
        outputs = self._model.run(self._input(framed))
        try:
            boxes, scores = self._people(outputs)
        except (ValueError, IndexError) as exc:
            raise EstimatorError(f"'{self._model.path}': {exc}") from exc
        boxes = boxes[keep_apart(boxes, scores, self._overlap)] / ratio
        return boxes[(boxes[:, 2:] - boxes[:, :2] >= SMALLEST_PX).all(axis=1)]

    def _input(self, framed: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return BGR of shape (1, 3, H, W): both families were trained on pictures as OpenCV reads them."""
        values = framed.astype(np.float32)
        if self._normalises:
            values = (values - MEAN) / DEVIATION
        return np.ascontiguousarray(values[None, :, :, ::-1].transpose(0, 3, 1, 2))

    def _people(self, outputs: list[NDArray[Any]]) -> tuple[FloatArray, FloatArray]:
        """Return boxes in pixels of the model's input, and their scores."""
        if self._dets is None:
            raw = outputs[self._raw or 0]
            return yolox_people(raw[0], self._width, self._height, self._threshold)
        found = outputs[self._dets][0].astype(np.float64)
        if not np.isfinite(found).all():
            raise ValueError("boxes that are not finite")
        person = found[:, 4] >= self._threshold
        if self._labels is not None:
            person &= outputs[self._labels][0] == 0
        return found[person, :4], found[person, 4]


def family_of(model: OnnxModel, family: DetectorFamily) -> DetectorFamily:
    """Return what the detector's input is, by the file's name where the user does not say."""
    if family != "auto":
        return family
    return "rtmdet" if "rtmdet" in model.path.name.lower() else "yolox"
