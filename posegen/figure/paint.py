"""Which colours each surface of a figure has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from posegen.figure.appearance import Appearance
from posegen.figure.color import linear
from posegen.figure.light import Lights
from posegen.figure.materials import Samples, shade_cloth, shade_skin
from posegen.figure.shading import Material

Float = NDArray[np.float32]


def materials_of(appearance: Appearance) -> Mapping[str, Material]:
    """Return how each surface of the figure answers light."""

    def skin(s: Samples, lights: Lights) -> Float:
        return shade_skin(np.broadcast_to(linear(appearance.skin), s.normal.shape), s, lights)

    def cloth(code: str) -> Material:
        def shade(s: Samples, lights: Lights) -> Float:
            return shade_cloth(np.broadcast_to(linear(code), s.normal.shape), s, lights)

        return shade

    return {"skin": skin, "eyes": skin, "top": cloth(appearance.top_color), "bottom": cloth(appearance.bottom_color)}
