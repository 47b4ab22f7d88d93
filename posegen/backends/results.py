"""What a remote backend answers with, turned into pixels: bytes that nobody vouches for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.backends.base import Workshop
from posegen.errors import ImageDataError, ImageFailedError
from posegen.images import decode
from posegen.records import ImageTask

BAD_RESULT = "BAD_RESULT"
"""Code of an image whose answer is no picture."""

PICTURES = ("image/png", "image/jpeg", "image/webp")
"""Content types of pictures that are opened."""

UNSAID = ("", "application/octet-stream", "binary/octet-stream")
"""Content types that say nothing, as some file servers do: the bytes decide."""


async def pixels_of(
    data: bytes, content_type: str, task: ImageTask, workshop: Workshop
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return the picture in a server's answer, decoded on the pool for computing.

    Parameters
    ----------
    data : bytes
    content_type : str
        As the server claims; parameters such as a charset are ignored.
    task : ImageTask
    workshop : Workshop

    Returns
    -------
    pixels : uint8 array, shape (height, width, 3)
    notes : tuple of str
        Says so if the size is not the one that was asked for.

    Raises
    ------
    ImageFailedError
        With code BAD_RESULT: no picture, a broken one, or one of too many pixels.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (*PICTURES, *UNSAID):
        raise bad_result(task.backend, f"the answer is {kind!r}, not a picture ({', '.join(PICTURES)})")
    workshop.served()
    try:
        pixels = await workshop.on_cpu(lambda: decode(data))
    except ImageDataError as exc:
        raise bad_result(task.backend, f"the answer is no usable picture: {exc}") from exc
    height, width = pixels.shape[:2]
    if (width, height) == (task.width, task.height):
        return pixels, ()
    return pixels, (f"{width}x{height} came back where {task.width}x{task.height} was asked for",)


def bad_result(backend: str, message: str) -> ImageFailedError:
    """Return the error of an answer that is not what it should be."""
    return ImageFailedError(message, backend=backend, code=BAD_RESULT)
