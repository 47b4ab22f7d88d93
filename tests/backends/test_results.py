"""What a server answers with, turned into pixels."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posegen.backends.results import pixels_of
from posegen.errors import ImageFailedError
from posegen.images import encode_png
from posegen.records import ImageTask

TASK = ImageTask(
    task_id="t", index=0, backend="fal", user_prompt="", prompt="", seed=1, width=32, height=16,
    conditioning="none",
)  # fmt: skip
PICTURE = np.full((16, 32, 3), 77, np.uint8)


class Workshop:
    """Counts what goes to the pool for computing."""

    def __init__(self) -> None:
        self.computed = 0
        self.left = False

    def served(self) -> None:
        self.left = True

    async def on_cpu(self, work: Callable[[], Any]) -> Any:
        self.computed += 1
        return work()


def read(
    data: bytes, content_type: str, workshop: Workshop | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    reading: Awaitable[Any] = pixels_of(data, content_type, TASK, workshop or Workshop())  # type: ignore[arg-type]
    return asyncio.run(reading)  # type: ignore[arg-type]


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content_type", ["image/png", "IMAGE/PNG; charset=binary", "application/octet-stream", ""]
)
def test_a_picture_is_decoded_on_the_pool(content_type: str) -> None:
    workshop = Workshop()
    pixels, notes = read(encode_png(PICTURE), content_type, workshop)
    np.testing.assert_array_equal(pixels, PICTURE)
    assert (notes, workshop.computed) == ((), 1)


def test_a_jpeg_under_another_pictures_name_is_one() -> None:
    assert read(jpeg(), "image/webp")[0].shape == (16, 32, 3)


def test_another_size_is_noted() -> None:
    _, (note,) = read(encode_png(np.zeros((20, 40, 3), np.uint8)), "image/png")
    assert note == "40x20 came back where 32x16 was asked for"


@pytest.mark.parametrize(
    ("data", "content_type", "said"),
    [
        (encode_png(PICTURE), "text/html", "'text/html', not a picture"),
        (b'{"error": "busy"}', "application/json", "'application/json', not a picture"),
        (encode_png(PICTURE)[:60], "image/png", "broken"),
        (b"", "image/png", "empty"),
        (b"<html>", "image/png", "not a PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(40), "", "not a PNG, JPEG or WebP"),
        (encode_png(np.zeros((8001, 8001, 3), np.uint8)), "image/png", "8001 x 8001"),
    ],
)
def test_what_is_no_picture_fails_the_image(data: bytes, content_type: str, said: str) -> None:
    with pytest.raises(ImageFailedError, match=said) as caught:
        read(data, content_type)
    assert (caught.value.code, caught.value.backend) == ("BAD_RESULT", "fal")
