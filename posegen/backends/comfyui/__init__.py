"""A running ComfyUI server as a backend, with any workflow whose nodes are marked by title."""

from posegen.backends.comfyui.backend import ComfyuiBackend
from posegen.backends.comfyui.options import ComfyuiOptions

__all__ = ["ComfyuiBackend", "ComfyuiOptions"]
