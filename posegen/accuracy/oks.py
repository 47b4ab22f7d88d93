"""Object keypoint similarity, and the average precision and recall over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.skeletons import COCO_SIGMAS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

THRESHOLDS: FloatArray = np.linspace(0.5, 0.95, 10)
"""OKS from .50 to .95 in steps of .05 (cocodataset/cocoapi `cocoeval.py`, `Params.setKpParams`)."""

RECALLS: FloatArray = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is read (the same)."""

MOST_DETECTIONS = 20
"""People per image that count (the same, `maxDets`)."""

AREA_OF_BOX = 0.53
"""Area of a person as a share of the keypoints' box, where there is no segment (xtcocotools)."""


def keypoint_area(target: FloatArray, counted: BoolArray) -> FloatArray:
    """Return the area of people of whom only the keypoints are known.

    Parameters
    ----------
    target : float array, shape (..., K, 2)
        Pixels.
    counted : bool array, shape (..., K)
        Keypoints that exist, hidden ones too.

    Returns
    -------
    float array, shape (...)
        Square pixels: 0.53 of the keypoints' box. NaN where nothing is counted.
    """
    known = np.where(counted[..., None], target, np.nan)
    some = np.asarray(counted.any(axis=-1))[..., None]
    low = np.where(some, _least(known), np.nan)
    high = np.where(some, -_least(-known), np.nan)
    return np.asarray(AREA_OF_BOX * np.prod(high - low, axis=-1))


def _least(places: FloatArray) -> FloatArray:
    """Return the least of each coordinate over the keypoints, NaN aside."""
    return np.asarray(np.where(np.isnan(places), np.inf, places).min(axis=-2))


def oks(
    predicted: FloatArray,
    target: FloatArray,
    counted: BoolArray,
    area: FloatArray,
    *,
    sigmas: FloatArray = COCO_SIGMAS,
) -> FloatArray:
    """Return the object keypoint similarity of each person.

    Parameters
    ----------
    predicted, target : float array, shape (..., K, 2)
        K keypoints: (x, y) in pixels of one image. NaN in `predicted` means "not found" and scores 0. The
        leading axes are broadcast.
    counted : bool array, shape (..., K)
        Keypoints to score: those that the target shows.
    area : float array, shape (...)
        Of the target, in square pixels: its segment's, or `keypoint_area`.
    sigmas : float array, shape (K,)
        By default those of COCO_17.

    Returns
    -------
    float array, shape (...)
        In [0, 1], higher is better; NaN where nothing is counted.

    Raises
    ------
    ValueError
        Shapes disagree, a counted target is not finite, or an area is negative or not finite.

    References
    ----------
    cocodataset/cocoapi `cocoeval.py`, `computeOks`: the mean over counted keypoints of
    exp(-d^2 / (2 area (2 sigma)^2)).
    """
    k = len(sigmas)
    if predicted.shape[-2:] != (k, 2) or target.shape[-2:] != (k, 2) or counted.shape[-1:] != (k,):
        raise ValueError(
            f"expected (..., {k}, 2), (..., {k}, 2) and (..., {k}), "
            f"not {predicted.shape}, {target.shape} and {counted.shape}"
        )
    if not np.isfinite(np.where(counted[..., None], target, 0.0)).all():
        raise ValueError("a counted keypoint of the target is not finite")
    area = np.asarray(area, dtype=np.float64)
    if not np.isfinite(np.where(counted.any(-1), area, 0.0)).all() or (area < 0).any():
        raise ValueError(f"areas must be finite and 0 or more, not {area!r}")
    squared = ((predicted - target) ** 2).sum(axis=-1)
    spread = (2 * sigmas) ** 2
    near = np.exp(-squared / spread / (area[..., None] + np.spacing(1)) / 2)
    near = np.where(np.isnan(near), 0.0, near)
    total = counted.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counted, near, 0.0).sum(axis=-1) / np.where(total > 0, total, np.nan))


@dataclass(frozen=True)
class Scene:
    """What was found in one image beside who is in it.

    Attributes
    ----------
    similarity : float array, shape (D, G)
        OKS of each detection with each person.
    scores : float array, shape (D,)
        How sure the detector is of each.
    ignored : bool array, shape (G,)
        People who are neither asked for nor counted against: those without a counted keypoint.
    """

    similarity: FloatArray
    scores: FloatArray
    ignored: BoolArray


def average_precision(scenes: Sequence[Scene], thresholds: FloatArray = THRESHOLDS) -> tuple[float, float]:
    """Return COCO's AP and AR over images of any number of people.

    Parameters
    ----------
    scenes : sequence of Scene
    thresholds : float array, shape (T,)
        OKS from which on a detection is right.

    Returns
    -------
    average precision, average recall : float
        In [0, 1]; NaN if nobody is to be found.

    References
    ----------
    cocodataset/cocoapi `cocoeval.py`, `evaluateImg` and `accumulate` with `iouType='keypoints'`, all areas.
    """
    people = sum(int((~scene.ignored).sum()) for scene in scenes)
    if people == 0:
        return float("nan"), float("nan")
    matched = [_matched(scene, thresholds) for scene in scenes]
    order = np.argsort(-np.concatenate([scores for scores, _, _ in matched]), kind="mergesort")
    right = np.concatenate([found for _, found, _ in matched], axis=1)[:, order]
    dropped = np.concatenate([skipped for _, _, skipped in matched], axis=1)[:, order]
    hits = np.cumsum(right & ~dropped, axis=1).astype(np.float64)
    misses = np.cumsum(~right & ~dropped, axis=1).astype(np.float64)
    precision, recall = zip(
        *(_curve(hit, miss, people) for hit, miss in zip(hits, misses, strict=True)), strict=True
    )
    return float(np.mean(precision)), float(np.mean(recall))


def average_recall(similarity: FloatArray, thresholds: FloatArray = THRESHOLDS) -> float:
    """Return the mean over thresholds of the share of images whose OKS reaches it.

    Needs no detection scores, which AP depends on. An image in which nobody was found counts as OKS 0, and
    must be given so.

    Parameters
    ----------
    similarity : float array, shape (N,)
        OKS by image, without NaN.

    Returns
    -------
    float
        In [0, 1]; NaN without images.

    Raises
    ------
    ValueError
        A similarity is NaN.
    """
    if np.isnan(similarity).any():
        raise ValueError("an OKS is NaN: leave the image out, or count it as 0")
    if not len(similarity):
        return float("nan")
    return float((similarity[:, None] >= thresholds).mean())


def _matched(scene: Scene, thresholds: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Return an image's scores, best first, and by threshold which are right and which are skipped."""
    order = np.argsort(-scene.scores, kind="mergesort")[:MOST_DETECTIONS]
    rows = scene.similarity[order]
    asked_first = np.argsort(scene.ignored, kind="mergesort")
    right = np.zeros((len(thresholds), len(order)), bool)
    dropped = np.zeros_like(right)
    for t, threshold in enumerate(thresholds):
        taken = np.zeros(rows.shape[1], bool)
        for d, row in enumerate(rows):
            found = _best(row, taken, scene.ignored, asked_first, min(threshold, 1 - 1e-10))
            if found is not None:
                taken[found] = True
                right[t, d], dropped[t, d] = True, scene.ignored[found]
    return scene.scores[order], right, dropped


def _best(
    row: FloatArray, taken: BoolArray, ignored: BoolArray, order: NDArray[np.intp], threshold: float
) -> int | None:
    """Return who a detection is matched with: the most similar free person, those asked for before others."""
    best: int | None = None
    for person in order:
        if taken[person]:
            continue
        if best is not None and not ignored[best] and ignored[person]:
            break
        if row[person] < threshold:
            continue
        threshold, best = float(row[person]), int(person)
    return best


def _curve(hits: FloatArray, misses: FloatArray, people: int) -> tuple[float, float]:
    """Return the mean precision over the 101 recalls, and the recall reached."""
    recall = hits / people
    precision = hits / (hits + misses + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    read = np.where(places < len(envelope), np.append(envelope, 0.0)[np.minimum(places, len(envelope))], 0.0)
    return float(read.mean()), float(recall[-1]) if len(recall) else 0.0


def similarity_matrix(
    predicted: FloatArray,
    target: FloatArray,
    counted: BoolArray,
    area: FloatArray,
    boxes: FloatArray,
    *,
    sigmas: FloatArray = COCO_SIGMAS,
) -> FloatArray:
    """Return the OKS of each detection with each person, for `Scene`.

    A person without a counted keypoint is compared by how far the detection's keypoints lie outside twice the
    person's box, as COCO does to drop what was found there.

    Parameters
    ----------
    predicted : float array, shape (D, K, 2)
    target : float array, shape (G, K, 2)
    counted : bool array, shape (G, K)
    area : float array, shape (G,)
    boxes : float array, shape (G, 4)
        Left, top, width and height in pixels.

    Returns
    -------
    float array, shape (D, G)

    References
    ----------
    cocodataset/cocoapi `cocoeval.py`, `computeOks`.
    """
    shown = counted.any(axis=-1)
    direct = oks(predicted[:, None], target[None], counted[None], area[None], sigmas=sigmas)
    low = boxes[:, :2] - boxes[:, 2:]
    high = boxes[:, :2] + 2 * boxes[:, 2:]
    points = predicted[:, None]
    outside = np.maximum(0, low[:, None] - points) + np.maximum(0, points - high[:, None])
    squared = (outside**2).sum(axis=-1)
    near = np.exp(-squared / (2 * sigmas) ** 2 / (area[None, :, None] + np.spacing(1)) / 2)
    return np.asarray(np.where(shown, direct, np.nan_to_num(near).mean(axis=-1)))
