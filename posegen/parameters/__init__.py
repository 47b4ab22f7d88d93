"""One typed schema per notebook; the command line, the notebooks, the widgets and the docs read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posegen.parameters.accuracy import AccuracyParameters
from posegen.parameters.arms import Arm, read_arm
from posegen.parameters.batch import DEFAULT_POSES, BatchParameters
from posegen.parameters.checking import StrictModel, check, defaults
from posegen.parameters.notebook import from_notebook
from posegen.parameters.pictures import PictureParameters
from posegen.parameters.reading import read_avatar, read_duration, read_view
from posegen.parameters.recovery import RecoveryParameters

__all__ = [
    "DEFAULT_POSES",
    "SCHEMAS",
    "AccuracyParameters",
    "Arm",
    "BatchParameters",
    "PictureParameters",
    "RecoveryParameters",
    "StrictModel",
    "accuracy_parameters",
    "batch_parameters",
    "check",
    "defaults",
    "from_notebook",
    "read_arm",
    "read_avatar",
    "read_duration",
    "read_view",
    "recovery_parameters",
]

SCHEMAS: dict[str, type[StrictModel]] = {
    "02_batch_generation": BatchParameters,
    "03_pose_accuracy": AccuracyParameters,
    "04_recovery": RecoveryParameters,
}
"""The schema of each notebook, by the notebook's file name without its ending."""


def batch_parameters(namespace: Mapping[str, Any]) -> BatchParameters:
    """Return the validated parameters of `02_batch_generation.ipynb` from its `globals()`.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name.
    """
    return from_notebook(BatchParameters, namespace)


def accuracy_parameters(namespace: Mapping[str, Any]) -> AccuracyParameters:
    """Return the validated parameters of `03_pose_accuracy.ipynb` from its `globals()`.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name.
    """
    return from_notebook(AccuracyParameters, namespace)


def recovery_parameters(namespace: Mapping[str, Any]) -> RecoveryParameters:
    """Return the validated parameters of `04_recovery.ipynb` from its `globals()`.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name.
    """
    return from_notebook(RecoveryParameters, namespace)
