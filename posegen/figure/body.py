"""A body of a given sex share and build, as a skin surface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.mesh import body_topology, load_mesh
from posegen.figure.topology import smooth, vertex_normals

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BodyShape:
    """Rest geometry of one body.

    Attributes
    ----------
    vertices : float32 array, shape (V, 3)
    heads : float32 array, shape (B, 3)
        Bones' heads; the build does not move them, so that keypoints stay true.
    scale : float
        Height of the head against the template's.
    """

    vertices: Float
    heads: Float
    scale: float


@lru_cache(maxsize=16)
def body_shape(male_share: float, heaviness: float, muscle: float) -> BodyShape:
    """Return a body between female (0) and male (1).

    Parameters
    ----------
    male_share : float
        In [0, 1].
    heaviness : float
        In [-1, 1]: slim to sturdy.
    muscle : float
        In [0, 1]: broader shoulders, chest, thighs and calves.
    """
    mesh = load_mesh()
    share = np.float32(male_share)
    vertices = mesh.female + share * (mesh.male - mesh.female)
    heads = mesh.heads_female + share * (mesh.heads_male - mesh.heads_female)
    normals = smooth(vertex_normals(vertices, body_topology()), body_topology(), 8)
    offset = smooth(_build_offset(heaviness, muscle), body_topology(), 25)
    offset = offset + share * smooth(_male_face(), body_topology(), 4)
    vertices = vertices + normals * offset[:, None]
    vertices = vertices + _at_ease()
    return BodyShape(vertices.astype(np.float32), heads.astype(np.float32), 1 + 0.13 * float(male_share))


def _male_face() -> Float:
    """Return metres along the normal: a stronger jaw, brow and neck than the mesh's male body has."""
    x, y, z = anatomy().template.T

    def spot(at: tuple[float, float, float], width: float) -> Float:
        squared = (np.abs(x) - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2
        return np.asarray(np.exp(-squared / width**2), np.float32)

    jaw = 0.0050 * spot((0.050, -0.055, 0.675), 0.022) + 0.0030 * spot((0.022, -0.105, 0.655), 0.016)
    brow = 0.0016 * (spot((0.030, -0.120, 0.773), 0.012) + spot((0.012, -0.128, 0.771), 0.012))
    throat = 0.0050 * np.exp(-(((z - 0.635) / 0.025) ** 2)) * (np.abs(x) < 0.08) * (y < 0.05)
    return np.asarray(jaw + brow + throat, np.float32)


def _at_ease() -> Float:
    """Return shifts that lift the corners of the mouth a little: the scanned face at rest looks stern."""
    x, y, z = anatomy().template.T
    at_mouth = (y < -0.07) & (z > 0.66) & (z < 0.72)
    corner = np.exp(-(((np.abs(x) - 0.024) / 0.010) ** 2) - ((z - 0.689) / 0.008) ** 2) * at_mouth
    shift = np.zeros((len(x), 3), np.float32)
    shift[:, 2] = 0.0022 * corner
    shift[:, 1] = 0.0006 * corner
    return shift


def _build_offset(heaviness: float, muscle: float) -> Float:
    """Metres along the normal that the build adds to each vertex."""
    a = anatomy()
    y, z = a.template[:, 1], a.template[:, 2]
    trunk = (1 - a.arm) * (1 - a.head) * (1 - a.leg)
    arm = a.arm * (1 - a.hand) * smoothstep(0.46, 0.38, a.along_arm)
    thigh = a.leg * smoothstep(-0.70, -0.30, z)
    belly = trunk * np.exp(-(((z - 0.18) / 0.13) ** 2))
    hips = (trunk + a.leg) * np.exp(-(((z - 0.02) / 0.12) ** 2)) * (1 - a.arm)
    chest = trunk * np.exp(-(((z - 0.42) / 0.12) ** 2))
    upper_arm = arm * np.exp(-(((a.along_arm - 0.12) / 0.10) ** 2))
    calf = a.leg * np.exp(-(((z + 0.47) / 0.08) ** 2)) * (y > -0.03)
    more = belly * (0.028 + 0.012 * (y < -0.02)) + hips * 0.014 + chest * 0.010 + arm * 0.006 + thigh * 0.010
    less = belly * 0.010 + hips * 0.008 + chest * 0.004 + arm * 0.0035 + thigh * 0.006
    face = (
        a.head
        * np.exp(-(((z - 0.69) / 0.035) ** 2))
        * smoothstep(0.03, 0.05, np.abs(a.template[:, 0]))
        * 0.003
    )
    heavy = more + face if heaviness > 0 else less
    shoulders = trunk * np.exp(-(((z - 0.53) / 0.06) ** 2)) * smoothstep(0.06, 0.14, np.abs(a.template[:, 0]))
    strong = (
        upper_arm * 0.008 + chest * 0.007 + shoulders * 0.006 + calf * 0.005 + thigh * 0.004 - belly * 0.006
    )
    total: Float = (heaviness * heavy + muscle * strong).astype(np.float32)
    return total
