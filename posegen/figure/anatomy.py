"""Where the parts of the body are: smooth coordinates on the template that garments are cut along.

All values are metres on the template, the female body in rest: z is up from the pelvis (the crotch lies near
-0.03, the waist near 0.13, the shoulders' tops near 0.58, the soles at -0.82), -y is forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from posegen.figure.mesh import body_topology, load_mesh
from posegen.figure.topology import smooth

Float = NDArray[np.float32]

_ARM = ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist", "finger", "metacarpal")
_HAND = ("wrist", "finger", "metacarpal")
_LEG = ("upperleg", "lowerleg", "foot", "toe")
_HEAD = ("head", "eye", "neck03")


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Per-vertex coordinates of the body.

    Attributes
    ----------
    template : float32 array, shape (V, 3)
    along_arm : float32 array, shape (V,)
        Distance from the shoulder joint along the arm, 0 on the trunk; the elbow lies at 0.27, the wrist
        at 0.48.
    arm, hand, leg, head : float32 array, shape (V,)
        Share of the vertex that the part's bones move, in [0, 1].
    """

    template: Float
    along_arm: Float
    arm: Float
    hand: Float
    leg: Float
    head: Float


@lru_cache(maxsize=24)
def anatomy(ironing: int = 0) -> Anatomy:
    """Return the coordinates of the shipped body.

    Parameters
    ----------
    ironing : int
        Smoothing steps, as many as a garment's shell gets: so a border that is straight in these
        coordinates is straight on the shell.
    """
    if ironing:
        plain, topology = anatomy(), body_topology()
        return Anatomy(
            smooth(plain.template, topology, ironing), smooth(plain.along_arm, topology, ironing),
            smooth(plain.arm, topology, ironing), smooth(plain.hand, topology, ironing),
            plain.leg, plain.head,
        )  # fmt: skip
    mesh = load_mesh()
    dense = mesh.weights.dense(len(mesh.parents))

    def share(prefixes: tuple[str, ...]) -> Float:
        columns = [i for name, i in mesh.bones.items() if name.startswith(prefixes)]
        return np.asarray(dense[:, columns].sum(axis=1), np.float32)

    arm = smooth(share(_ARM), body_topology(), 4)
    along = np.maximum(*(_along_arm(mesh.female, side) for side in "LR"))
    along = smooth(along * smoothstep(0.15, 0.75, arm), body_topology(), 4)
    return Anatomy(mesh.female, along, arm, share(_HAND), share(_LEG), share(_HEAD))


def _along_arm(points: Float, side: str) -> Float:
    mesh = load_mesh()
    joints = [
        mesh.heads_female[mesh.bones[f"{name}.{side}"]] for name in ("upperarm01", "lowerarm01", "wrist")
    ]
    total, best = np.zeros(len(points), np.float32), np.full(len(points), np.inf, np.float32)
    covered = 0.0
    for i, (start, stop) in enumerate(pairwise(joints)):
        direction = stop - start
        length = float(np.sqrt((direction**2).sum()))
        offset = points - start
        s = (offset * (direction / length)).sum(axis=1)
        s = np.clip(s, 0, length) if i == 0 else np.maximum(s, 0)
        gap = ((offset - s[:, None] * direction / length) ** 2).sum(axis=1)
        total = np.where(gap < best, covered + s, total)
        best = np.minimum(best, gap)
        covered += length
    return np.where(points[:, 0] * (1 if side == "L" else -1) > 0, total, 0).astype(np.float32)


def smoothstep(low: float, high: float, value: Float) -> Float:
    """Return 0 below `low`, 1 above `high`, and a smooth step between; `low` may be the greater."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    step: Float = t * t * (np.float32(3) - np.float32(2) * t)
    return step
