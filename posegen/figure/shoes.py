"""Shoes: lofted around the foot's convex outlines, so that toes vanish, on a flat sole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.mesh import load_mesh, pack_weights
from posegen.figure.outline import grid_faces, rounded_hull
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_ANGLES = 88
_STEP_M = 0.007


@dataclass(frozen=True)
class Last:
    """A shoe's form, in metres.

    Attributes
    ----------
    collar : (float, float, float)
        Height of the opening at the front, the sides and the back.
    welt : float
        How far the sole stands out.
    room : float
        Distance from the foot.
    toe : float
        Extra length at the toes.
    sole_top : float
        Height above the foot's underside to which the sole reaches.
    """

    collar: tuple[float, float, float]
    welt: float
    room: float
    toe: float
    sole_top: float


UNDERSIDE_M = 0.003
"""How far a sole reaches below the bare foot: the foot inside is not seen, so the shoe takes its place, and
hands that touch the floor beside it touch the same floor."""
LASTS = {
    "sneakers": Last(collar=(0.102, 0.066, 0.082), welt=0.005, room=0.0065, toe=0.008, sole_top=0.022),
    "boots": Last(collar=(0.205, 0.200, 0.205), welt=0.006, room=0.008, toe=0.010, sole_top=0.018),
    "loafers": Last(collar=(0.058, 0.052, 0.062), welt=0.004, room=0.005, toe=0.012, sole_top=0.010),
}


@lru_cache(maxsize=32)
def shoe_surface(name: str, shape: BodyShape) -> Surface:
    """Return the pair of shoes `name` ("sneakers", "boots" or "loafers") on the body's feet.

    Details are the place within the shoe: across (m, outwards positive), along (m, from the ankle's axis
    forwards), height above the floor (m), and the collar's height.
    """
    vertices, faces, detail, limit = _left_shoe(LASTS[name], shape)
    dense = _weights(vertices, shape)
    count = len(vertices)
    mirrored = vertices * np.array([-1.0, 1.0, 1.0])
    mirror_bones = _mirror_bones()
    both = np.concatenate([vertices, mirrored])
    weights = np.concatenate([dense, dense[:, mirror_bones]])
    all_faces = np.concatenate([faces, faces[:, ::-1] + count])
    details = np.concatenate([detail, detail])
    limits = np.concatenate([limit, limit])[None]
    return make_surface(
        "shoes", both.astype(np.float32), details[:, :3].astype(np.float32), all_faces,
        pack_weights(weights.astype(np.float32)), limits, details, double_sided=True, reach=1.0,
    )  # fmt: skip


@lru_cache(maxsize=4)
def covered_foot(name: str) -> Float:
    """Return how many metres each vertex of the body lies below the shoe's opening, shape (V,)."""
    template = anatomy().template.astype(np.float64)
    foot = anatomy().leg > 0.5
    covered = np.full(len(template), -1.0)
    for side in (1.0, -1.0):
        points = template * np.array([side, 1.0, 1.0])
        chosen = foot & (points[:, 0] > 0)
        height = points[:, 2] - points[chosen, 2].min()
        ankle = chosen & (height > 0.085) & (height < 0.115)
        middle = (points[ankle, :2].min(axis=0) + points[ankle, :2].max(axis=0)) / 2
        angle = np.arctan2(points[:, 0] - middle[0], middle[1] - points[:, 1])
        covered = np.where(chosen, _collar(LASTS[name], angle) - height, covered)
    return covered.astype(np.float32)


def sole_thickness(name: str) -> float:
    """Return how far a shoe's sole reaches below the bare foot, metres."""
    return UNDERSIDE_M if name in LASTS else 0.0


def _left_shoe(last: Last, shape: BodyShape) -> tuple[Double, NDArray[np.int64], Double, Double]:
    """Return vertices, triangles, details and the metres below the opening of the left shoe."""
    foot, floor, center = _foot_points(shape)
    even = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    angles = even - 0.40 * np.sin(even)
    heights, radii, middle = _rings(last, foot, center, angles)
    x = middle[:, :1] + radii * np.sin(angles)
    y = middle[:, 1:] - radii * np.cos(angles)
    # The underside closes towards a line along the foot, so that it can bend at the ball.
    x = np.concatenate([x, center[0] + (x[-1] - center[0]) * np.array([[0.66], [0.33], [0.01]])])
    y = np.concatenate([y, np.tile(y[-1], (3, 1))])
    lifted = np.broadcast_to(np.append(heights, [heights[-1]] * 3)[:, None], x.shape)
    # The toe of the sole rises a little from the floor.
    ahead = np.clip((center[1] - y - 0.13) / 0.08, 0, 1.2)
    spring = 0.010 * ahead**2 * np.clip(1 - (lifted + UNDERSIDE_M) / 0.05, 0, 1)
    vertices = np.stack([x, y, lifted + spring + floor], axis=-1).reshape(-1, 3)
    collar = np.broadcast_to(_collar(last, angles), x.shape).ravel()
    height = lifted.ravel()
    detail = np.stack([vertices[:, 0] - center[0], center[1] - vertices[:, 1], height, collar], axis=1)
    return vertices, grid_faces(len(x), _ANGLES), detail, collar - height


def _rings(last: Last, foot: Double, center: Double, angles: Double) -> tuple[Double, Double, Double]:
    """Return heights, radii and middles of the shoe's rings, from the top down to the underside's edge."""
    heights = np.arange(last.sole_top + 0.001, max(last.collar) + 0.012, _STEP_M)
    centers = np.stack([_ring_center(foot, h, center) for h in heights])
    upper = np.stack([_ring(foot, h, c, angles, last) for h, c in zip(heights, centers, strict=True)])
    for _ in range(2):
        upper[1:-1] = (upper[:-2] + 2 * upper[1:-1] + upper[2:]) / 4
    ground = rounded_hull(foot[foot[:, 2] < 0.03][:, :2], center, angles, last.room + last.welt)
    ground += last.toe * np.clip(np.cos(angles), 0, 1) ** 4
    ground = np.maximum(ground, upper[0] + last.welt * 0.6)
    sole = [(last.sole_top, ground - 0.002), (last.sole_top - 0.001, ground), (0.006, ground),
            (0.0, ground - 0.001), (-UNDERSIDE_M, ground - 0.006)]  # fmt: skip
    return (
        np.concatenate([heights[::-1], [h for h, _ in sole]]),
        np.concatenate([upper[::-1], np.stack([r for _, r in sole])]),
        np.concatenate([centers[::-1], np.tile(center, (len(sole), 1))]),
    )


def _foot_points(shape: BodyShape) -> tuple[Double, float, Double]:
    """Return the left foot's vertices with heights above the floor, the floor's height, the ankle's axis."""
    a = anatomy()
    chosen = (a.leg > 0.5) & (a.template[:, 0] > 0) & (a.template[:, 2] < -0.46)
    points = shape.vertices[chosen].astype(np.float64)
    floor = float(points[:, 2].min())
    points[:, 2] -= floor
    ankle = points[(points[:, 2] > 0.085) & (points[:, 2] < 0.115)][:, :2]
    center = (ankle.min(axis=0) + ankle.max(axis=0)) / 2
    return points, floor, center


def _ring_center(foot: Double, height: float, ankle: Double) -> Double:
    """Return a point within the outline at `height`: the ankle's axis, and above it the shin's."""
    if height < 0.10:
        return ankle
    part = foot[np.abs(foot[:, 2] - height) < 0.045][:, :2]
    share = min((height - 0.10) / 0.05, 1.0)
    middle: Double = ankle + share * ((part.min(axis=0) + part.max(axis=0)) / 2 - ankle)
    return middle


def _ring(foot: Double, height: float, center: Double, angles: Double, last: Last) -> Double:
    reach = max(height + 0.034, 0.105 if height < 0.09 else 0.0)
    # The shin's vertices are far apart: look further there.
    below = 0.003 if height < 0.10 else 0.030
    reach += 0.0 if height < 0.10 else 0.03
    part = foot[(foot[:, 2] >= height - below) & (foot[:, 2] <= reach)][:, :2]
    # The instep slopes: what is a small gap across it needs more room along the foot.
    slope = 0.006 * np.clip((height - 0.030) / 0.015, 0, 1) * np.clip(np.cos(angles), 0, 1) ** 2
    ring = rounded_hull(part, center, angles, last.room) + slope
    low = np.clip(1 - (height - 0.010) / 0.035, 0, 1)
    return np.asarray(ring + last.toe * low * np.clip(np.cos(angles), 0, 1) ** 4)


def _collar(last: Last, angles: Double) -> Double:
    front, side, back = last.collar
    facing = np.cos(angles)
    ahead = np.clip(facing, 0, 1) ** 2
    behind = np.clip(-facing, 0, 1) ** 2
    collar: Double = side + (front - side) * ahead + (back - side) * behind
    return collar


def _weights(vertices: Double, shape: BodyShape) -> Double:
    """Return the left shoe's weights: the shin above the ankle, the foot, the toes' bones at the toes."""
    mesh = load_mesh()
    bones = mesh.bones
    dense = np.zeros((len(vertices), len(mesh.parents)))
    ankle = shape.heads[bones["foot.L"]]
    ball = shape.heads[bones["toe3-1.L"]]
    shin = smoothstep(-0.015, 0.055, (vertices[:, 2] - ankle[2]).astype(np.float32))
    toes = smoothstep(-0.012, 0.022, (ball[1] - vertices[:, 1]).astype(np.float32)) * (1 - shin)
    dense[:, bones["lowerleg02.L"]] = shin
    dense[:, bones["toe3-1.L"]] = toes
    dense[:, bones["foot.L"]] = 1 - shin - toes
    return dense


def _mirror_bones() -> NDArray[np.int64]:
    bones = load_mesh().bones
    swap = {"L": "R", "R": "L"}
    order = np.empty(len(bones), np.int64)
    for name, index in bones.items():
        stem, dot, side = name.partition(".")
        order[index] = bones[f"{stem}.{swap[side]}"] if dot else index
    return order
