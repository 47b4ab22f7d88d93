"""The embedded renderer: a clothed person in any posture, with numpy and Pillow alone.

Arrays in, arrays out: nothing here reads settings or writes files.
"""

from __future__ import annotations

from posegen.figure.appearance import Appearance, choose_appearance
from posegen.figure.draw import draw

RENDERER_VERSION = "1"
"""Changes whenever a picture of the same recipe would have other bytes."""

__all__ = ["RENDERER_VERSION", "Appearance", "choose_appearance", "draw"]
