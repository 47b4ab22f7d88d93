"""Which part of a picture an export shows: the whole figure, well placed in what the platform leaves free."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posegen.exports.formats import SafeArea
from posegen.skeletons import OPENPOSE_18

_NOTHING_COVERED = SafeArea()

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; the centre of the top-left pixel is (0, 0)."""

MARGIN = 0.07
"""Free border round the figure's box, as a share of the box's longer side: hair, shoes and garments stand out
from the body, and a figure at the very edge looks cut."""

MOST_ENLARGED = 1.2
"""A picture is enlarged at most so many times what its format's size needs, to show a small figure larger."""

FILLED = 0.92
"""A small figure is shown so large that it fills this share of the safe area, if `MOST_ENLARGED` allows."""

HEAD_ROOM = 0.45
"""Share of the free height that comes above the figure."""

LEAD_ROOM = 0.12
"""Share of the free width that is moved to the side a figure in profile looks to."""

BEYOND_JOINTS_OF_BOX = 0.34
BEYOND_JOINTS_OF_LIMB = 0.68
"""How far the body's surface lies beyond the box of its joints, at most: as a share of the box's longer side,
and of the longest limb as it appears. Measured on the library from 8 sides: 0.329 and 0.670 (medians 0.11
and 0.29). Head, hands and feet count; in a foreshortened figure they are much of it."""


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture, in pixels from its top-left corner (not from a pixel's centre).

    It may reach beyond the picture: there the background has to be continued.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def overhang(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return by how many pixels it reaches beyond a picture: left, top, right, bottom."""
        return (
            max(0.0, -self.left),
            max(0.0, -self.top),
            max(0.0, self.right - width),
            max(0.0, self.bottom - height),
        )


@dataclass(frozen=True)
class Figure:
    """Where a figure is in a picture.

    Attributes
    ----------
    box : (left, top, right, bottom)
        All of it: head, hands and feet too. Pixel centres at whole numbers; may reach beyond the picture.
    facing : float
        Where it looks to in the picture: -1 to the left, 0 at us or away, 1 to the right.
    by : str
        How that is known: `measured`, `target` or `mask`.
    whole : bool
        The picture does not cut it, though its box, with room for what was not seen, may reach beyond.
    silhouette : bool array, shape (H, W), or None
        Pixels of the picture that it may cover.
    """

    box: Box
    facing: float = 0.0
    by: str = "target"
    whole: bool = False
    silhouette: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)


def choose_crop(
    image_size: tuple[int, int],
    format_size: tuple[int, int],
    figure: Figure | None,
    *,
    safe_area: SafeArea = _NOTHING_COVERED,
    margin: float = MARGIN,
) -> Crop:
    """Return the part of a picture that fills a format, with the whole figure in its safe area.

    The scale is that of the largest crop in the picture, made smaller where the figure with its margin would
    not fit into the safe area (the crop then reaches beyond the picture, where the background has to be
    continued), and up to `MOST_ENLARGED` larger where the figure would be small. Within what that leaves
    free, the crop stays on the picture as far as it can; then the figure gets its share of the free height
    above (`HEAD_ROOM`), and more room on the side that it looks to (`LEAD_ROOM`).

    Parameters
    ----------
    image_size, format_size : (int, int)
        Width and height in pixels.
    figure : Figure or None
        What has to stay visible; what of it lies outside the picture does not count, and on a side where it
        is cut by the picture no safe area is asked for. None takes the middle of the picture.
    safe_area : SafeArea
        In pixels of the format.
    margin : float
        Free border, as a share of the box's longer side. It gives way before the picture ends.

    Returns
    -------
    Crop
        Of exactly the format's shape.

    Raises
    ------
    ValueError
        A size under 1, a negative margin, or a box that is not finite or is inside out.
    """
    if min(*image_size, *format_size) < 1:
        raise ValueError(f"sizes must be at least 1 pixel, not {image_size} and {format_size}")
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be 0 or more, not {margin!r}")
    cover = max(format_size[0] / image_size[0], format_size[1] / image_size[1])
    seen = None if figure is None else _seen(figure.box, *image_size)
    if figure is None or seen is None:
        width, height = format_size[0] / cover, format_size[1] / cover
        return Crop((image_size[0] - width) / 2, (image_size[1] - height) / 2, width, height)
    border = margin * max(seen[2] - seen[0], seen[3] - seen[1])
    covered = _kept_free(safe_area, figure, seen, image_size)
    across = _side(image_size[0], format_size[0], seen[0::2], border, covered[0::2])
    down = _side(image_size[1], format_size[1], seen[1::2], border, covered[1::2])
    scale = _scale(min(across.most_scale, down.most_scale), cover)
    lead = 0.5 - LEAD_ROOM * float(np.clip(figure.facing, -1, 1))
    return Crop(
        across.placed(scale, lead),
        down.placed(scale, HEAD_ROOM),
        format_size[0] / scale,
        format_size[1] / scale,
    )


@dataclass(frozen=True)
class _Side:
    """The framing along one axis: picture, format and figure."""

    available: int  # pixels of the picture
    length: int  # pixels of the format
    before: float  # pixels of the format that the figure keeps out of
    after: float
    figure: tuple[float, float]  # from, to: pixels of the picture

    @property
    def most_scale(self) -> float:
        """Format pixels per picture pixel at which the figure just fits."""
        return (self.length - self.before - self.after) / (self.figure[1] - self.figure[0])

    def placed(self, scale: float, share: float) -> float:
        """Return where the crop starts: `share` of the free length comes before the figure."""
        first, last = self.figure
        crop = self.length / scale
        earliest = last + self.after / scale - crop
        latest = first - self.before / scale
        wanted = latest - share * (latest - earliest)
        # On the picture; a crop longer than it covers all of it.
        low, high = min(0.0, self.available - crop), max(0.0, self.available - crop)
        kept = min(max(wanted, low), high)
        return float(min(max(kept, earliest), max(earliest, latest)))


def _side(
    available: int, length: int, seen: tuple[float, ...], border: float, covered: tuple[float, ...]
) -> _Side:
    """Return the framing along one axis for a figure that is seen from `seen[0]` to `seen[1]`.

    Beyond the picture's edge there is nothing to keep: a border there would be continued for nothing.
    """
    figure = max(0.0, seen[0] - border), min(float(available), seen[1] + border)
    return _Side(available, length, covered[0], covered[1], figure)


def _kept_free(area: SafeArea, figure: Figure, seen: Box, image_size: tuple[int, int]) -> Box:
    """Return what the figure is kept out of at each side: nothing where the picture cuts it anyway."""
    cut = (seen[0] <= 0, seen[1] <= 0, seen[2] >= image_size[0], seen[3] >= image_size[1])
    sides = (area.left, area.top, area.right, area.bottom)
    left, top, right, bottom = (
        0.0 if is_cut and not figure.whole else float(covered)
        for is_cut, covered in zip(cut, sides, strict=True)
    )
    return left, top, right, bottom


def _scale(fitting: float, cover: float) -> float:
    """Return format pixels per picture pixel: at most `fitting`, at least `cover` if that lets it."""
    return min(fitting, max(cover, min(fitting * FILLED, cover * MOST_ENLARGED)))


def _seen(box: Box, width: int, height: int) -> Box | None:
    """Return the part of a box that lies in the picture, from pixels' centres to their edges."""
    left, top, right, bottom = box
    if not np.isfinite(box).all() or left > right or top > bottom:
        raise ValueError(f"not a box (left, top, right, bottom): {box!r}")
    # A pixel's square reaches half a pixel to all sides of its centre.
    seen = (max(0.0, left), max(0.0, top), min(float(width), right + 1), min(float(height), bottom + 1))
    return seen if seen[0] < seen[2] and seen[1] < seen[3] else None


def keypoints_box(keypoints: NDArray[np.float64]) -> Box | None:
    """Return a box for the whole figure where only its joints are known.

    Parameters
    ----------
    keypoints : float array, shape (18, 2) or (18, 3)
        OPENPOSE_18: x, y in pixels and, if given, visibility. Joints hidden behind the body count too; NaN is
        a joint that was not found.

    Returns
    -------
    (left, top, right, bottom) or None
        With room for head, hands and feet. None if no limb has both its joints.

    Raises
    ------
    ValueError
        Another shape.
    """
    if keypoints.shape not in ((18, 2), (18, 3)):
        raise ValueError(f"expected keypoints of shape (18, 2) or (18, 3), got {keypoints.shape}")
    places = keypoints[:, :2]
    first, second = (list(ends) for ends in zip(*OPENPOSE_18.limbs, strict=True))
    lengths = np.hypot(*(places[first] - places[second]).T)
    lengths = lengths[np.isfinite(lengths)]
    if not lengths.size:
        return None
    known = places[np.isfinite(places).all(axis=1)]
    least, most = known.min(axis=0), known.max(axis=0)
    side = float((most - least).max())
    border = min(BEYOND_JOINTS_OF_BOX * side, BEYOND_JOINTS_OF_LIMB * float(lengths.max()))
    left, top, right, bottom = (float(value) for value in (*least - border, *most + border))
    return left, top, right, bottom


def facing(keypoints: NDArray[np.float64]) -> float:
    """Return where a person looks to in the picture: -1 to the left, 0 at us or away, 1 to the right.

    By how far the nose stands out from the ears (or the neck, where no ear was found), beside the torso's
    length: in profile about a quarter of it.

    Parameters
    ----------
    keypoints : float array, shape (18, 2) or (18, 3)
        OPENPOSE_18, in pixels; NaN is a joint that was not found.
    """
    places = dict(zip(OPENPOSE_18.keypoints, keypoints[:, :2], strict=True))
    hips = np.mean([places["right_hip"], places["left_hip"]], axis=0)
    across = np.hypot(*(places["right_shoulder"] - places["left_shoulder"]))
    length = np.nanmax([np.hypot(*(places["neck"] - hips)), across, 0.0])
    ears = [place for place in (places["right_ear"], places["left_ear"]) if np.isfinite(place).all()]
    behind = np.mean(ears, axis=0) if ears else places["neck"]
    ahead = places["nose"][0] - behind[0]
    return float(np.clip(ahead / (0.25 * length), -1, 1)) if np.isfinite(ahead) and length > 0 else 0.0
