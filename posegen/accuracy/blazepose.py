"""MediaPipe's BlazePose: both models come in the package, so that it works offline."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import EstimatorInfo, Person, largest_first
from posegen.skeletons import COCO_FROM_BLAZEPOSE

NAME = "mediapipe"
PACKAGES = ("mediapipe", "cv2")

MOST_PEOPLE = 8
"""People that are looked for in one picture."""

_MODELS = ("pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite")


class BlazePose:
    """MediaPipe's pose landmarker with the full model, for single pictures.

    References
    ----------
    Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020.
    """

    def __init__(self) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self._image = mediapipe.Image
        self._srgb = mediapipe.ImageFormat.SRGB
        models = [Path(mediapipe.__file__).parent / "modules" / model for model in _MODELS]
        detector, landmarks = (model.read_bytes() for model in models)
        weights = hashlib.sha256(detector + landmarks).hexdigest()
        self.info = EstimatorInfo(NAME, version("mediapipe"), weights)
        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=_bundle(detector, landmarks)), num_poses=MOST_PEOPLE
        )
        self._landmarker = vision.PoseLandmarker.create_from_options(options)

    def estimate(self, pixels: NDArray[np.uint8], /) -> list[Person]:
        """Return the people in a picture, the largest first; see `PoseEstimator`."""
        height, width = pixels.shape[:2]
        image = self._image(image_format=self._srgb, data=np.ascontiguousarray(pixels))
        found = self._landmarker.detect(image)
        people = [
            Person(_pixels(marks, width, height), _metres(world))
            for marks, world in zip(found.pose_landmarks, found.pose_world_landmarks, strict=True)
        ]
        return largest_first(people)


def _pixels(marks: Any, width: int, height: int) -> NDArray[np.float64]:
    """Return landmarks as COCO_17 in pixels with their visibility; MediaPipe's are shares of the picture."""
    rows = [marks[i] for i in COCO_FROM_BLAZEPOSE]
    return np.array([[m.x * width - 0.5, m.y * height - 0.5, m.visibility] for m in rows])


def _metres(marks: Any) -> NDArray[np.float64]:
    return np.array([[m.x, m.y, m.z] for m in marks])


def _bundle(detector: bytes, landmarks: bytes) -> bytes:
    """Return both models as the bundle that MediaPipe's tasks read, with the metadata that they ask for."""
    from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, model, mean, deviation in (
            ("pose_detector.tflite", detector, 127.5, 127.5),  # takes [-1, 1]
            ("pose_landmarks_detector.tflite", landmarks, 0.0, 255.0),  # takes [0, 1]
        ):
            writer = metadata_writer.MetadataWriter.create(bytearray(model))
            writer.add_image_input([mean], [deviation])
            bundle.writestr(name, bytes(writer.populate()[0]))
    return buffer.getvalue()
