"""Estimate the pose of somebody in a picture, and make it a pose of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import PoseEstimator
from posegen.accuracy.process import PooledEstimator, shared_pool
from posegen.accuracy.registry import DEFAULT_ESTIMATOR, ESTIMATORS, choose_estimator
from posegen.errors import ParameterError
from posegen.picture_poses.people import FoundPerson, Who, choose, number_people
from posegen.picture_poses.picture_pose import PicturePose
from posegen.picture_poses.source import SourcePicture, read_source
from posegen.poses.fitting_3d import FittedBody, fit_landmarks, fit_without_depth, library_starts
from posegen.poses.joints import ANGLE_NAMES, GREATEST, LEAST, angle_indices
from posegen.poses.pose import read_pose
from posegen.poses.wording import describe, rests_on
from posegen.records import View

FloatArray = NDArray[np.float64]

ROUGH_DEG = 20.0
ROUGH_SHARE = 0.05
"""Fits that are worse than these deserve a word of warning."""
_MOVED_BY = {
    "elbow": ("shoulder", "elbow", "forearm", "wrist"), "wrist": ("elbow", "forearm", "wrist"),
    "knee": ("hip", "knee", "ankle"), "ankle": ("knee", "ankle"),
}  # fmt: skip
"""Joints whose angles nothing tells if this keypoint is cut off."""
TAGS = ("from a picture",)


def pose_from_picture(
    picture: str | Path | bytes | NDArray[np.uint8],
    *,
    pose_id: str,
    person: Who = "largest",
    name: str | None = None,
    category: str = "standing",
    description: str | None = None,
    tags: Sequence[str] = TAGS,
    estimator: PoseEstimator | None = None,
) -> PicturePose:
    """Return the pose of somebody in a picture, and the view in which it looks like the picture.

    Parameters
    ----------
    picture : path, bytes or uint8 array, shape (H, W), (H, W, 3) or (H, W, 4)
        A PNG, JPEG or WebP file, its bytes, or pixels; turned upright by its EXIF orientation.
    pose_id : str
        Lower case words joined by underscores.
    person : int or "largest"
        Who, if several are in it: from 1, left to right.
    name, description : str, optional
        By default made from the id and from the angles.
    category : str
        A key of `CATEGORIES`.
    tags : sequence of str
    estimator : PoseEstimator, optional
        By default the one that is installed. It is asked once.

    Raises
    ------
    PictureError
        No picture, nobody in it, no such person, or too little of them.
    PoseDataError
        Id, category or another word of the pose is wrong.
    ParameterError
        No estimator is installed.
    """
    words = {
        "id": pose_id,
        "name": pose_id.replace("_", " ").capitalize() if name is None else name,
        "description": "to be made from the angles" if description is None else description,
        "tags": list(tags),
        "difficulty": "medium",
    }
    read_pose(words | {"angles": {}}, category)  # refused before a model is loaded
    source = read_source(picture)
    shown = str(picture) if isinstance(picture, str | Path) else "the picture"
    estimator = estimator or _open_installed()
    people = number_people(estimator.estimate(source.pixels), source)
    chosen = choose(people, person, shown)
    fitted = _fit(chosen)
    support = rests_on(fitted.angles)
    if description is None:
        words["description"] = describe(fitted.angles, support)
    content = {"angles": _named(fitted.angles), "support": support}
    provenance = _provenance(source, estimator, people, chosen, fitted)
    return PicturePose(
        pose=read_pose(words | content | {"provenance": provenance}, category),
        view=View(fitted.yaw),
        person=chosen,
        people=tuple(people),
        fitted=fitted,
        source=source,
        notes=tuple(_notes(chosen, fitted)),
    )


def _open_installed() -> PoseEstimator:
    """Return the estimator that is installed, opened."""
    spec = choose_estimator("auto", {})
    if spec is None:
        lacking = ESTIMATORS[DEFAULT_ESTIMATOR].missing()
        raise ParameterError("estimator", f"none is installed; {lacking[0] if lacking else 'choose one'}")
    return PooledEstimator(shared_pool(spec))


def _fit(person: FoundPerson) -> FittedBody:
    starts, frozen = library_starts().copy(), _untold(person.cut_off)
    starts[:, angle_indices(frozen)] = 0.0
    world = person.known_world
    if world is None:
        return fit_without_depth(person.keypoints, starts=starts, frozen=frozen)
    return fit_landmarks(world, person.keypoints, starts=starts, frozen=frozen)


def _untold(cut_off: Sequence[str]) -> list[str]:
    """Return the angles that nothing tells if these keypoints are cut off: such limbs hang straight."""
    prefixes = []
    for keypoint in cut_off:
        side, _, joint = keypoint.partition("_")
        prefixes += [f"{side}_{part}." for part in _MOVED_BY.get(joint, ())]
    return [name for name in ANGLE_NAMES if name.startswith(tuple(prefixes))]


def _named(angles: FloatArray) -> dict[str, float]:
    """Return the angles that are not 0 by name, in tenths of degrees."""
    tenths = np.clip(np.round(angles, 1), LEAST, GREATEST)
    return {name: float(value) for name, value in zip(ANGLE_NAMES, tenths, strict=True) if value}


def _provenance(
    source: SourcePicture,
    estimator: PoseEstimator,
    people: Sequence[FoundPerson],
    chosen: FoundPerson,
    fitted: FittedBody,
) -> Mapping[str, Any]:
    return {
        "picture": source.name or None,
        "picture_sha256": source.sha256,
        "estimator": estimator.info.name,
        "estimator_version": estimator.info.version,
        "estimator_weights_sha256": estimator.info.weights_sha256,
        "person": chosen.number,
        "people": len(people),
        "view_yaw": fitted.yaw,
        "depth": "a guess" if fitted.error_deg is None else "estimated",
        "fit_error_deg": None if fitted.error_deg is None else round(fitted.error_deg, 1),
        "fit_error_share": None if fitted.error is None else round(fitted.error, 4),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _notes(person: FoundPerson, fitted: FittedBody) -> list[str]:
    notes = []
    if fitted.error_deg is None:
        notes.append("the estimator gives no depth: how limbs stand out of the picture is a guess")
    elif fitted.error_deg > ROUGH_DEG:
        notes.append(f"a rough fit: limbs are {fitted.error_deg:.0f} degrees off what was estimated")
    if fitted.error is not None and fitted.error > ROUGH_SHARE:
        notes.append(f"a rough fit: keypoints are {fitted.error:.0%} of the figure's size off")
    for what, keypoints in (
        ("outside the picture, so taken for straight", person.cut_off),
        ("hidden, so a guess", person.hidden),
    ):
        if keypoints:
            notes.append(f"{what}: {', '.join(name.replace('_', ' ') for name in keypoints)}")
    return notes
