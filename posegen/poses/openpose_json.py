"""Read and write OpenPose JSON: the form in which pose editors, ControlNet and ComfyUI exchange keypoints.

    {"people": [{"pose_keypoints_2d": [x, y, c, x, y, c, ...]}], "canvas_width": 512, "canvas_height": 768}

Read are OPENPOSE_18 (54 numbers) and BODY_25 (75), in pixels or normalised to the unit square, one document
or a list of them (ComfyUI's frames). Written is OPENPOSE_18. Hands and faces are carried along, not
interpreted.

Sources: CMU-Perceptual-Computing-Lab/openpose `doc/02_output.md`; huggingface/controlnet_aux and
Fannovel16/comfyui_controlnet_aux for the canvas size, the list of frames and "all |x|, |y| <= 1 is
normalised"; huchenlei/sd-webui-openpose-editor, which drops points whose confidence is below 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posegen.errors import KeypointsFormatError
from posegen.skeletons import OPENPOSE_FROM_BODY_25

FloatArray = NDArray[np.float64]
Coordinates = Literal["auto", "pixels", "normalised"]

BODY_KEY = "pose_keypoints_2d"
EXTRA_KEYS = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
LARGEST_CANVAS_PX = 65_536

_BODY_NUMBERS = {18 * 3: "OPENPOSE_18", 25 * 3: "BODY_25"}


@dataclass(frozen=True)
class OpenPoseFrame:
    """The people of one OpenPose document.

    Attributes
    ----------
    people : tuple of float arrays, shape (18, 3)
        OPENPOSE_18: x, y in pixels, visibility 1 or 0. A missing keypoint is (0, 0, 0). One with coordinates
        but confidence 0 keeps them, with visibility 0.
    width, height : int or None
        Size of the canvas in pixels; None if neither the document nor the caller said.
    extras : tuple of dict of str to float array, shape (K, 3)
        For each person the hands and the face that it has (`EXTRA_KEYS`): x, y in pixels, confidence.
    """

    people: tuple[FloatArray, ...]
    width: int | None
    height: int | None
    extras: tuple[dict[str, FloatArray], ...] = field(default=())


def read_openpose(
    path: str | Path,
    *,
    canvas: tuple[int, int] | None = None,
    coordinates: Coordinates = "auto",
) -> list[OpenPoseFrame]:
    """Read an OpenPose JSON file; see `parse_openpose`.

    Raises
    ------
    OSError
        The file cannot be read.
    KeypointsFormatError
        It is malformed; the message begins with its path.
    """
    data = Path(path).read_bytes()
    try:
        return parse_openpose(data, canvas=canvas, coordinates=coordinates)
    except KeypointsFormatError as error:
        raise KeypointsFormatError(f"{path}: {error}") from error


def parse_openpose(
    document: str | bytes | Mapping[str, Any] | Sequence[Any],
    *,
    canvas: tuple[int, int] | None = None,
    coordinates: Coordinates = "auto",
) -> list[OpenPoseFrame]:
    """Read OpenPose JSON.

    Parameters
    ----------
    document : str, bytes, dict or list
        JSON (UTF-8) or what it holds: one document or a list of them.
    canvas : (int, int), optional
        Width and height in pixels for documents that do not say; one that does keeps its own.
    coordinates : {"auto", "pixels", "normalised"}
        "auto" takes a document as normalised if no |x| or |y| in its bodies exceeds 1.

    Returns
    -------
    list of OpenPoseFrame
        One for each document, in order. A frame may hold nobody.

    Raises
    ------
    KeypointsFormatError
        Not JSON, another shape, another count of numbers, a number that is none or is not finite, a negative
        confidence, or normalised coordinates without a canvas size. Says where and what is allowed.
    """
    if coordinates not in {"auto", "pixels", "normalised"}:
        raise ValueError(f"coordinates must be 'auto', 'pixels' or 'normalised', not {coordinates!r}")
    data = _loads(document) if isinstance(document, str | bytes) else document
    if isinstance(data, Mapping):
        return [_frame(data, "", canvas, coordinates)]
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_frame(item, f"frame {number}: ", canvas, coordinates) for number, item in enumerate(data)]
    raise KeypointsFormatError(
        f"expected an object with 'people', or a list of such objects, not {_shown(data)}"
    )


def openpose_document(
    people: ArrayLike | Sequence[ArrayLike],
    width: int,
    height: int,
    *,
    normalised: bool = False,
    keep_hidden: bool = False,
    extras: Sequence[Mapping[str, ArrayLike]] = (),
) -> dict[str, Any]:
    """Return people's keypoints as an OpenPose document, ready for `json.dumps`.

    Parameters
    ----------
    people : float array, shape (18, 3) or (P, 18, 3), or a sequence of (18, 3)
        OPENPOSE_18: x, y in pixels, visibility. Above 0 is written as confidence 1.0, the only one that all
        editors keep; all else, and what is not finite, as 0, 0, 0.
    width, height : int
        Size of the canvas in pixels.
    normalised : bool
        Divide x by the width and y by the height. Points off the canvas cannot be written so: a document with
        any |x|, |y| above 1 would be read as pixels.
    keep_hidden : bool
        Write a hidden keypoint's coordinates with confidence 0, so that `parse_openpose` gives it back as it
        was. Other readers ignore it either way.
    extras : sequence of mappings
        Hands and faces by person, as in `OpenPoseFrame.extras`.

    Raises
    ------
    ValueError
        The shape is another, the size is not positive, or a normalised coordinate exceeds 1.

    Examples
    --------
    >>> document = openpose_document(np.ones((18, 3)), 512, 768)
    >>> document["canvas_width"], document["people"][0]["pose_keypoints_2d"][:3]
    (512, [1.0, 1.0, 1.0])
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"the canvas must have a positive size, not {width}x{height}")
    persons = _persons(people)
    if len(extras) not in {0, len(persons)}:
        raise ValueError(f"expected extras for each of {len(persons)} people, got {len(extras)}")
    scale = np.array([width, height, 1.0]) if normalised else np.ones(3)
    bodies = [_written(person, keep_hidden=keep_hidden) / scale for person in persons]
    largest = max((float(np.abs(body[:, :2]).max()) for body in bodies), default=0.0)
    if normalised and largest > 1:
        raise ValueError(
            f"a normalised coordinate is {largest:.4g}, and readers take a document for pixels if any "
            "exceeds 1: write this one in pixels"
        )
    written: list[dict[str, Any]] = [{BODY_KEY: _flat(body)} for body in bodies]
    for person, parts in zip(written, extras, strict=False):
        person.update({key: _flat(np.asarray(part, dtype=np.float64) / scale) for key, part in parts.items()})
    return {"people": written, "canvas_width": int(width), "canvas_height": int(height)}


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(
            text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        )
    except UnicodeDecodeError as error:
        raise KeypointsFormatError(f"not a JSON text: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise KeypointsFormatError(f"not a JSON document: {error.msg} at {place}") from error
    except (RecursionError, ValueError) as error:
        raise KeypointsFormatError(f"not an OpenPose document: {error}") from error


def _frame(
    data: object, where: str, canvas: tuple[int, int] | None, coordinates: Coordinates
) -> OpenPoseFrame:
    if not isinstance(data, Mapping):
        raise KeypointsFormatError(f"{where}expected an object with 'people', not {_shown(data)}")
    if "people" not in data:
        found = ", ".join(repr(key) for key in list(data)[:8]) or "nothing"
        raise KeypointsFormatError(f"{where}expected 'people' in the document, found {found}")
    people = data["people"]
    if isinstance(people, str | bytes) or not isinstance(people, Sequence):
        raise KeypointsFormatError(f"{where}'people' must be a list, not {_shown(people)}")
    bodies, parts = [], []
    for number, person in enumerate(people):
        place = f"{where}person {number}: "
        if not isinstance(person, Mapping):
            raise KeypointsFormatError(f"{place}expected an object with {BODY_KEY!r}, not {_shown(person)}")
        bodies.append(_body(person.get(BODY_KEY), place))
        parts.append({key: _points(person[key], f"{place}{key}") for key in EXTRA_KEYS if person.get(key)})
    width, height = _canvas(data, where, canvas)
    scale = np.ones(3)
    if coordinates == "normalised" or (coordinates == "auto" and _all_normalised(bodies)):
        if width is None or height is None:
            raise KeypointsFormatError(
                f"{where}the coordinates are normalised (no |x|, |y| exceeds 1) but 'canvas_width' and "
                "'canvas_height' are missing; give the canvas size"
            )
        scale = np.array([width, height, 1.0])
    extras = tuple({key: part * scale for key, part in person.items()} for person in parts)
    return OpenPoseFrame(tuple(_with_visibility(body * scale) for body in bodies), width, height, extras)


def _canvas(
    data: Mapping[str, Any], where: str, canvas: tuple[int, int] | None
) -> tuple[int | None, int | None]:
    given = {"canvas_width": data.get("canvas_width"), "canvas_height": data.get("canvas_height")}
    if all(side is None for side in given.values()):
        if canvas is None:
            return None, None
        given = {"canvas width": canvas[0], "canvas height": canvas[1]}
    sides = []
    for name, side in given.items():
        number = _number(side)
        if number is None or number != int(number) or not 0 < number <= LARGEST_CANVAS_PX:
            raise KeypointsFormatError(
                f"{where}{name!r} must be a whole number from 1 to {LARGEST_CANVAS_PX}, not {_shown(side)}"
            )
        sides.append(int(number))
    return sides[0], sides[1]


def _body(numbers: object, where: str) -> FloatArray:
    if numbers is None or numbers == []:
        raise KeypointsFormatError(f"{where}no {BODY_KEY!r}; expected 54 numbers (18 points) or 75 (BODY_25)")
    points = _points(numbers, f"{where}{BODY_KEY}", tuple(_BODY_NUMBERS))
    return points[list(OPENPOSE_FROM_BODY_25)] if len(points) == 25 else points


def _points(numbers: object, where: str, allowed: tuple[int, ...] = ()) -> FloatArray:
    """Return x, y, confidence of the points in a flat list, all finite; confidence 0 at 0, 0 is missing."""
    if isinstance(numbers, str | bytes) or not isinstance(numbers, Sequence):
        raise KeypointsFormatError(f"{where} must be a flat list of numbers, not {_shown(numbers)}")
    if allowed and len(numbers) not in allowed:
        counts = " or ".join(f"{count} ({_BODY_NUMBERS[count]})" for count in allowed)
        raise KeypointsFormatError(
            f"{where} must hold {counts} numbers, x, y, confidence each; found {len(numbers)}"
        )
    if len(numbers) % 3:
        raise KeypointsFormatError(
            f"{where} must hold x, y, confidence for each point; found {len(numbers)} numbers"
        )
    values = []
    for place, value in enumerate(numbers):
        number = _number(value)
        if number is None:
            raise KeypointsFormatError(f"{where}[{place}] must be a finite number, not {_shown(value)}")
        if place % 3 == 2 and number < 0:
            raise KeypointsFormatError(
                f"{where}[{place}] is a confidence and must not be negative: {number:g}"
            )
        values.append(number)
    return np.array(values, dtype=np.float64).reshape(-1, 3)


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else, truth values and numerals in quotes included."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _all_normalised(bodies: list[FloatArray]) -> bool:
    points = [body[:, :2] for body in bodies if body[:, :2].any()]
    return bool(points) and max(float(np.abs(point).max()) for point in points) <= 1


def _with_visibility(body: FloatArray) -> FloatArray:
    body = body.copy()
    body[:, 2] = body[:, 2] > 0
    return body


def _persons(people: ArrayLike | Sequence[ArrayLike]) -> list[FloatArray]:
    try:
        array = np.asarray(people, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("expected people of shape (18, 3) each: OPENPOSE_18 x, y, visibility") from error
    if array.shape == (0,):
        return []
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or array.shape[1:] != (18, 3):
        raise ValueError(f"expected people of shape (18, 3) or (P, 18, 3), got {array.shape}")
    return list(array)


def _written(person: FloatArray, *, keep_hidden: bool) -> FloatArray:
    located = np.isfinite(person).all(axis=1, keepdims=True)
    visible = located & (person[:, 2:] > 0)
    written = np.where(located if keep_hidden else visible, person, 0.0)
    written[:, 2:] = visible
    return written


def _flat(points: FloatArray) -> list[float]:
    flat: list[float] = points.ravel().tolist()
    return flat


def _shown(value: object) -> str:
    """Return a value as a message may show it: short, with its kind."""
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
