"""The picture: a dressed figure in a posture, seen by a camera, in a studio."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.appearance import Appearance
from posegen.figure.backdrop import backdrop, floor_shadow
from posegen.figure.body import BodyShape
from posegen.figure.color import encode, linear, roll_off
from posegen.figure.light import lights_of
from posegen.figure.mesh import bone_transforms, load_mesh, vertex_transforms
from posegen.figure.paint import materials_of
from posegen.figure.posed import Posed, pose_surfaces, project
from posegen.figure.seat import seat_surface
from posegen.figure.shading import shade
from posegen.figure.shoes import sole_thickness
from posegen.figure.visibility import find_visible
from posegen.figure.wardrobe import dress, shape_of
from posegen.poses.camera import Camera, check_size
from posegen.poses.kinematics import Posture

Float = NDArray[np.float32]

SIZE_STEP = 16


def draw(
    posture: Posture, camera: Camera, appearance: Appearance, width: int, height: int
) -> NDArray[np.uint8]:
    """Return a picture of a clothed person.

    Parameters
    ----------
    posture : Posture
        Of the body with the appearance's `male_share`.
    camera : Camera
        Fitted to a frame of `width` and `height`.
    appearance : Appearance
    width, height : int
        Pixels, 256 to 2048, multiples of 16.

    Returns
    -------
    uint8 array, shape (height, width, 3)
        sRGB. The same arguments give the same bytes.

    Raises
    ------
    ValueError
        The size is not allowed.
    """
    check_size(width, height)
    if width % SIZE_STEP or height % SIZE_STEP:
        raise ValueError(f"width and height must be multiples of {SIZE_STEP}, got {width}x{height}")
    shape = shape_of(appearance)
    posed, floor_z = _pose(posture, appearance, shape)
    lights = lights_of(camera)
    screen = project(posed.positions, camera)
    visible = find_visible(posed, screen, width, height)
    light = shade(posed, screen, visible, camera, lights, materials_of(appearance))
    picture = backdrop(linear(appearance.backdrop), appearance.background, camera, floor_z, width, height)
    picture = np.ascontiguousarray(picture)
    rows, columns, left = floor_shadow(posed.positions, lights, camera, floor_z, width, height)
    picture[rows, columns] *= left
    _lay_over(picture.reshape(-1, 3), visible.pixel, visible.weight, roll_off(light))
    return encode(picture, _dither(width, height))


def _pose(posture: Posture, appearance: Appearance, shape: BodyShape) -> tuple[Posed, float]:
    """Return the posed surfaces and the height of the floor: soles are thicker than the bare foot's skin."""
    bones = bone_transforms(posture.rotations, posture.root, shape.heads)
    body = vertex_transforms(load_mesh().weights, bones)
    surfaces = dress(appearance)
    floor_z = -sole_thickness(appearance.shoes)
    if posture.seat is not None:
        seat = posture.seat
        stool = seat_surface(
            round(seat.top_m, 4),
            (round(seat.center[0], 4), round(seat.center[1], 4)),
            round(seat.yaw_deg, 2),
            floor_z,
        )
        surfaces = (*surfaces, stool)
    return pose_surfaces(surfaces, bones, body, shape), floor_z


def _lay_over(picture: Float, pixel: NDArray[np.int64], weight: Float, light: Float) -> None:
    """Blend the samples into `picture` (P, 3); what they leave of a pixel shows the background."""
    whole = weight == 1
    picture[pixel[whole]] = light[whole]
    at, light, weight = pixel[~whole], light[~whole], weight[~whole]
    places, which = np.unique(at, return_inverse=True)
    covered = np.bincount(which, weight, len(places))
    mixed = picture[places] * (1 - covered)[:, None].astype(np.float32)
    for channel in range(3):
        mixed[:, channel] += np.bincount(which, weight * light[:, channel], len(places)).astype(np.float32)
    picture[places] = mixed


@lru_cache(maxsize=8)
def _dither(width: int, height: int) -> Float:
    """Return a fixed pattern within half a byte step, so that soft gradients show no bands."""
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    # Interleaved gradient noise (Jimenez, "Next Generation Post Processing in Call of Duty", SIGGRAPH 2014).
    noise = np.mod(
        np.float32(52.9829189) * np.mod(x * np.float32(0.06711056) + y * np.float32(0.00583715), 1), 1
    )
    pattern: Float = (noise - np.float32(0.5))[..., None]
    pattern.flags.writeable = False
    return pattern
