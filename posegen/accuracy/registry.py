"""The pose estimators by name, and which of them can be used here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from posegen.accuracy.estimator import PoseEstimator
from posegen.accuracy.options import EstimatorOptions, OnnxOptions
from posegen.errors import ParameterError, UnknownNameError


@dataclass(frozen=True)
class EstimatorKind:
    """An estimator that can be asked for.

    Attributes
    ----------
    module, factory : str
        Where it is; imported only when it is used.
    packages : tuple of str
        Modules that must be there.
    extra : str
        The optional extra of posegen that brings them.
    options_type : type
        Pydantic model of its options.
    reads_files : bool
        Its options name files of the user's: they are opened when it is chosen, so that a wrong one shows
        before anything is spent.
    """

    module: str
    factory: str
    packages: tuple[str, ...]
    extra: str
    options_type: type[EstimatorOptions] = EstimatorOptions
    reads_files: bool = False

    def missing(self) -> list[str]:
        """Return what it lacks here, one sentence each; empty when usable."""
        absent = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if not absent:
            return []
        return [f"{' and '.join(absent)} not installed: pip install 'posegen[{self.extra}]'"]


ESTIMATORS: dict[str, EstimatorKind] = {
    "mediapipe": EstimatorKind("posegen.accuracy.blazepose", "BlazePose", ("mediapipe", "cv2"), "accuracy"),
    "rtmpose": EstimatorKind(
        "posegen.accuracy.onnx_pose", "RTMPose", ("onnxruntime", "cv2"), "onnx", OnnxOptions, reads_files=True
    ),
    "dwpose": EstimatorKind(
        "posegen.accuracy.onnx_pose", "DWPose", ("onnxruntime", "cv2"), "onnx", OnnxOptions, reads_files=True
    ),
}
"""Every estimator by name; the first is the default."""

DEFAULT_ESTIMATOR = "mediapipe"


@dataclass(frozen=True)
class EstimatorSpec:
    """An estimator with its options: all that a process needs to open it.

    Attributes
    ----------
    name : str
    options : dict
        Plain values.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def choose_estimator(name: str, options: Mapping[str, Any]) -> EstimatorSpec | None:
    """Return the estimator that is asked for; None for "off", and for "auto" where none is installed.

    Parameters
    ----------
    name : str
        "auto" (the default one if it is installed), "off" or a name in `ESTIMATORS`.
    options : mapping
        The estimator's own.

    Raises
    ------
    UnknownNameError
        No such estimator.
    ParameterError
        It lacks a package or a file, or an option is wrong.
    """
    if name == "off":
        return None
    if name == "auto":
        if options:
            allowed = f"name the estimator that they are for: {', '.join(ESTIMATORS)}"
            raise ParameterError("estimator_options", f"{dict(options)!r} with estimator 'auto'; {allowed}")
        return None if ESTIMATORS[DEFAULT_ESTIMATOR].missing() else EstimatorSpec(DEFAULT_ESTIMATOR)
    if name not in ESTIMATORS:
        raise UnknownNameError("estimator", name, ["auto", "off", *ESTIMATORS])
    kind = ESTIMATORS[name]
    try:
        checked = kind.options_type.model_validate(dict(options))
    except ValidationError as exc:
        raise ParameterError("estimator_options", f"of {name!r}: {_problems(exc)}") from None
    lacking = kind.missing()
    if lacking:
        raise ParameterError("estimator", f"{name!r} is asked for; {lacking[0]}")
    spec = EstimatorSpec(name, checked.model_dump(mode="json", exclude_defaults=True))
    if kind.reads_files:
        open_estimator(spec)
    return spec


def _problems(error: ValidationError) -> str:
    """Return what is wrong with each option."""
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors()
    )


def open_estimator(spec: EstimatorSpec) -> PoseEstimator:
    """Return the estimator, its model loaded, in this process.

    Raises
    ------
    ImportError
        A package is missing.
    ParameterError
        A file of the user's is not the model it should be.
    """
    kind = ESTIMATORS[spec.name]
    factory = getattr(importlib.import_module(kind.module), kind.factory)
    options = kind.options_type.model_validate(spec.options)
    estimator: PoseEstimator = factory(
        **{name: getattr(options, name) for name in type(options).model_fields}
    )
    return estimator
