"""What can be set of an estimator. No model is opened here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

DetectorFamily = Literal["auto", "yolox", "rtmdet"]


class EstimatorOptions(BaseModel):
    """Options of an estimator that has none, and the base of those that others have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _file(path: Path) -> Path:
    """Return the path from the root, so that it means the same in every process."""
    path = path.expanduser().absolute()
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise ValueError(f"'{path}' {problem}; the path of a model's .onnx file is expected")
    return path


ModelFile = Annotated[Path, AfterValidator(_file)]


class OnnxOptions(EstimatorOptions):
    """Options of `rtmpose` and `dwpose`.

    Attributes
    ----------
    model : Path
        The pose model's file.
    detector : Path, optional
        The person detector's file. Without one the whole picture is taken for one person's box.
    detector_family : str
        What the detector's input is: "yolox" takes BGR from 0 to 255, "rtmdet" takes it normalised. "auto" is
        "rtmdet" where the file's name says so, "yolox" otherwise.
    detector_size : int
        Side of the detector's square input in pixels, where its file leaves that open.
    keypoint_threshold : float
        Least score of a keypoint that counts as found, inclusive; DWPose and MMPose's demos draw from 0.3.
    detector_threshold : float
        Least score of a box, inclusive; 0.3 in DWPose and rtmlib.
    detector_overlap : float
        Greatest intersection over union of two people's boxes; 0.45 in DWPose and rtmlib.
    most_people : int
        People that are looked at in one picture, by the score of their boxes.
    threads : int
        Of one model; 1 leaves the other cores to whatever makes the images.
    providers : tuple of str
        onnxruntime's execution providers, the best first.
    """

    model: ModelFile
    detector: ModelFile | None = None
    detector_family: DetectorFamily = "auto"
    detector_size: int = Field(640, ge=64, le=2048, multiple_of=32)
    keypoint_threshold: float = Field(0.3, gt=0, lt=1)
    detector_threshold: float = Field(0.3, gt=0, lt=1)
    detector_overlap: float = Field(0.45, gt=0, lt=1)
    most_people: int = Field(8, ge=1, le=100)
    threads: int = Field(1, ge=1, le=64)
    providers: tuple[str, ...] = Field(("CPUExecutionProvider",), min_length=1)
