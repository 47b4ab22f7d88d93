"""RTMPose and DWPose from ONNX files of the user's: people's boxes first, then the keypoints within each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import EstimatorInfo, Person, largest_first
from posegen.accuracy.onnx_model import OnnxModel, Shape, runtime_version
from posegen.accuracy.options import DetectorFamily
from posegen.accuracy.person_detector import PersonDetector
from posegen.accuracy.simcc import decode_simcc
from posegen.accuracy.top_down import Crop, crop_around, cut, normalised
from posegen.errors import EstimatorError, ParameterError

FloatArray = NDArray[np.float64]

LAYOUTS = {17: "COCO", 26: "Halpe-26", 133: "COCO-WholeBody"}
"""Number of keypoints of the layouts whose first 17 are COCO_17 (MMPose, `configs/_base_/datasets`)."""


class SimccPose:
    """A top-down pose model with SimCC outputs; its subclasses say which. Parameters as in `OnnxOptions`.

    Raises
    ------
    ParameterError
        A file cannot be read, or is not the model it should be.
    """

    name: ClassVar[str]
    layouts: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        *,
        model: Path,
        detector: Path | None = None,
        detector_family: DetectorFamily = "auto",
        detector_size: int = 640,
        keypoint_threshold: float = 0.3,
        detector_threshold: float = 0.3,
        detector_overlap: float = 0.45,
        most_people: int = 8,
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        weights = hashlib.sha256()

        def opened(option: str, path: Path) -> OnnxModel:
            data = _read(f"estimator_options.{option}", path)
            weights.update(data)
            return OnnxModel(f"estimator_options.{option}", path, data, providers=providers, threads=threads)

        self._model = opened("model", model)
        self._width, self._height, self._columns, self._ratio = self._layout()
        self._detector = None
        if detector is not None:
            self._detector = PersonDetector(
                opened("detector", detector),
                detector_family,
                size=detector_size,
                threshold=detector_threshold,
                overlap=detector_overlap,
            )
        self._keypoint_threshold = keypoint_threshold
        self._most_people = most_people
        self.info = EstimatorInfo(self.name, f"onnxruntime {runtime_version()}", weights.hexdigest())

    def estimate(self, pixels: NDArray[np.uint8], /) -> list[Person]:
        """Return the people in a picture, the largest first; see `PoseEstimator`."""
        height, width = pixels.shape[:2]
        pixels = np.ascontiguousarray(pixels)
        try:
            boxes = np.array([[0.0, 0.0, width, height]])
            if self._detector is not None:
                boxes = self._detector.find(pixels)[: self._most_people]
            if not len(boxes):
                return []
            crops = [crop_around(box, self._width, self._height) for box in boxes]
            decoded = self._decode(normalised(np.stack([cut(pixels, crop) for crop in crops])))
        except EstimatorError as exc:
            exc.estimator = self.name
            raise
        people = [self._person(points, crop) for points, crop in zip(decoded, crops, strict=True)]
        return largest_first([person for person in people if np.isfinite(person.keypoints).any()])

    def _decode(self, batch: NDArray[np.float32]) -> FloatArray:
        outputs = self._model.run(batch)
        try:
            return decode_simcc(outputs[self._columns], outputs[1 - self._columns], self._ratio)
        except ValueError as exc:
            raise EstimatorError(f"'{self._model.path}': {exc}") from exc

    def _person(self, decoded: FloatArray, crop: Crop) -> Person:
        body = decoded[:17]
        keypoints = np.column_stack([crop.to_picture(body[:, :2]), np.clip(body[:, 2], 0.0, 1.0)])
        keypoints[body[:, 2] < self._keypoint_threshold] = np.nan
        return Person(keypoints)

    def _layout(self) -> tuple[int, int, int, float]:
        """Return the input's width and height, which output is of columns, and the bins per pixel."""
        height, width = self._model.input_shape[2:]
        if width is None or height is None:
            raise self._model.refusal(
                "leaves the size of its input open; an export with a fixed size is expected"
            )
        shapes = self._model.output_shapes
        if len(shapes) == 2 and any(None in shape[1:] or len(shape) != 3 for shape in shapes.values()):
            shapes = self._model.probed_shapes(width, height)
        names, found = list(shapes), list(shapes.values())
        columns = names.index("simcc_x") if "simcc_x" in names else 0
        ratio = _bins_per_pixel(found, columns, width, height)
        if ratio is None or found[0][1] not in self.layouts:
            outputs = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            expected = " or ".join(f"{count} ({LAYOUTS[count]})" for count in self.layouts)
            raise self._model.refusal(
                f"answers {outputs}; {self.name} expects simcc_x (N, K, {2 * width}) and simcc_y (N, K, "
                f"{2 * height}) for its input of {width}x{height}, with K = {expected} keypoints"
            )
        return width, height, columns, ratio


def _bins_per_pixel(shapes: list[Shape], columns: int, width: int, height: int) -> float | None:
    """Return how many bins of both outputs a pixel of the input has; None if they are no SimCC outputs."""
    if len(shapes) != 2 or any(len(shape) != 3 or None in shape[1:] for shape in shapes):
        return None
    (_, keypoints, across), (_, others, down) = shapes[columns], shapes[1 - columns]
    if keypoints != others or across is None or down is None or across * height != down * width:
        return None
    return across / width if across % width == 0 else None


def _read(parameter: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ParameterError(parameter, f"'{path}' cannot be read: {exc.strerror or exc}") from exc


class RTMPose(SimccPose):
    """MMPose's RTMPose, body or whole body.

    References
    ----------
    Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023.
    """

    name = "rtmpose"
    layouts = (17, 26, 133)


class DWPose(SimccPose):
    """DWPose, the whole-body model that ControlNet's annotators use.

    References
    ----------
    Yang et al., "Effective Whole-body Pose Estimation with Two-stages Distillation", ICCV workshops 2023.
    """

    name = "dwpose"
    layouts = (133,)
