"""Cloth that hangs: below the bust, the belly, the buttocks or the calf it falls rather than clings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.mesh import body_topology, load_mesh
from posegen.figure.topology import smooth

Float = NDArray[np.float32]

_ANGLES = 48
_STEP_M = 0.012
_ANKLE = -0.69


def hang(shell: Float, slope: float) -> Float:
    """Return `shell` (V, 3) moved outwards so that no part lies deeper than what it hangs from allows.

    Parameters
    ----------
    shell : float32 array, shape (V, 3)
    slope : float
        Metres by which the cloth may return inwards per metre of fall.
    """
    a = anatomy()
    trunk = smoothstep(0.45, 0.1, a.arm) * smoothstep(0.60, 0.53, a.template[:, 2])
    upper = trunk * smoothstep(-0.16, -0.02, a.template[:, 2])
    moved = shell + _outwards(shell, upper, _trunk_axis(shell), slope, top=0.56, bottom=-0.10, most=0.045)
    for side in (1.0, -1.0):
        on_side = a.template[:, 0] * side > 0
        leg = smoothstep(-0.10, -0.22, a.template[:, 2]) * on_side * (1 - a.arm)
        moved = moved + _outwards(
            shell, leg.astype(np.float32), _leg_axis(shell, side), slope, top=-0.10, bottom=-0.80, most=0.035
        )
    return moved


def without_feet(vertices: Float) -> Float:
    """Return the body with feet no wider than its ankles, so that trouser legs keep their own form there."""
    a = anatomy()
    moved = vertices.copy()
    for side in (1.0, -1.0):
        leg = (a.leg > 0.5) & (a.template[:, 0] * side > 0)
        z = a.template[:, 2]
        axis = _leg_axis(vertices, side)
        offset = vertices[:, :2] - axis
        radius = np.sqrt((offset**2).sum(axis=1))
        ankle = float(radius[leg & (z > _ANKLE - 0.03) & (z < _ANKLE + 0.03)].max()) + 0.006
        # The instep begins under the hem: leave it room.
        ankle = ankle + 0.014 * np.clip(-offset[:, 1] / np.maximum(radius, 1e-4), 0, 1)
        low = leg & (z < _ANKLE) & (radius > ankle)
        moved[low, :2] = axis[low] + offset[low] * (ankle[low] / radius[low])[:, None]
    return moved


def _trunk_axis(shell: Float) -> Float:
    axis = np.zeros((len(shell), 2), np.float32)
    axis[:, 1] = -0.01
    return axis


def _leg_axis(shell: Float, side: float) -> Float:
    mesh = load_mesh()
    letter = "L" if side > 0 else "R"
    joints = np.stack(
        [mesh.heads_female[mesh.bones[f"{b}.{letter}"]] for b in ("foot", "lowerleg01", "upperleg01")]
    )
    z = anatomy().template[:, 2]
    template_axis = np.stack([np.interp(z, joints[:, 2], joints[:, i]) for i in (0, 1)], 1)
    # The body at hand may be wider than the template: follow its own leg.
    leg = (anatomy().leg > 0.9) & (anatomy().template[:, 0] * side > 0) & (z < -0.12) & (z > -0.7)
    shift = (shell[leg][:, :2] - template_axis[leg]).mean(axis=0)
    return np.asarray((template_axis + shift).astype(np.float32), np.float32)


def _outwards(
    shell: Float, share: Float, axis: Float, slope: float, *, top: float, bottom: float, most: float
) -> Float:
    """Return the displacement that lifts `shell` to its hanging envelope about `axis`."""
    z = anatomy().template[:, 2]
    offset = shell[:, :2] - axis
    radius = np.sqrt((offset**2).sum(axis=1))
    angle = np.arctan2(offset[:, 0], -offset[:, 1]) / (2 * np.pi) * _ANGLES
    levels = int((top - bottom) / _STEP_M)
    level = (top - z) / _STEP_M
    use = (share > 0.5) & (level > -1) & (level < levels + 1)
    grid = np.zeros((levels, _ANGLES), np.float32)
    row = np.clip(np.rint(level[use]), 0, levels - 1).astype(int)
    np.maximum.at(grid, (row, np.rint(angle[use]).astype(int) % _ANGLES), radius[use])
    grid = _fill(grid)
    envelope = grid.copy()
    for i in range(1, levels):
        envelope[i] = np.maximum(grid[i], envelope[i - 1] - slope * _STEP_M)
    for _ in range(2):
        envelope = (np.roll(envelope, 1, 1) + 2 * envelope + np.roll(envelope, -1, 1)) * np.float32(0.25)
    wanted = _sample(envelope, level, angle)
    lift = np.clip(wanted - radius, 0, most) * share
    lift = smooth(lift.astype(np.float32), body_topology(), 6)
    direction = offset / np.maximum(radius, 1e-4)[:, None]
    out = np.zeros_like(shell)
    out[:, :2] = direction * lift[:, None]
    return out


def _fill(grid: Float) -> Float:
    """Fill empty cells from their neighbours, first around, then up and down."""
    for axis in (1, 0, 1, 0, 1, 1):
        empty = grid == 0
        around = np.maximum(np.roll(grid, 1, axis), np.roll(grid, -1, axis))
        grid = np.where(empty, around, grid)
    return grid


def _sample(grid: Float, level: Float, angle: Float) -> Float:
    level = np.clip(level, 0, len(grid) - 1.001)
    i, j = np.floor(level).astype(int), np.floor(angle).astype(int)
    u, v = level - i, angle - j
    j0, j1 = j % _ANGLES, (j + 1) % _ANGLES
    upper = grid[i, j0] * (1 - v) + grid[i, j1] * v
    lower = grid[i + 1, j0] * (1 - v) + grid[i + 1, j1] * v
    sampled: Float = upper * (1 - u) + lower * u
    return sampled
