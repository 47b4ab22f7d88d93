"""The 12 exports as others make them: the cover crop in JPEG, quality 90, 4:2:0, from one PNG file."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps

from posegen.exports.formats import ExportFormat

QUALITY = 90
HERE = Path(__file__).parent

Way = Callable[[], tuple[float, float]]
"""Makes all exports once; returns wall and processor time in ms."""


def timed(work: Callable[[], object]) -> Way:
    """Return `work` with a watch."""

    def run() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000

    return run


def sizes(formats: Iterable[ExportFormat]) -> list[tuple[int, int]]:
    """Return each size once, the largest first."""
    return sorted({(entry.width, entry.height) for entry in formats}, key=lambda size: -size[0] * size[1])


def plain_pillow(picture: Path, formats: list[ExportFormat]) -> None:
    """Open the source for each format, fit, save."""
    for entry in formats:
        with Image.open(picture) as source:
            fitted = ImageOps.fit(
                source.convert("RGB"), (entry.width, entry.height), Image.Resampling.LANCZOS
            )
        fitted.save(io.BytesIO(), "JPEG", quality=QUALITY, dpi=(entry.dpi, entry.dpi))


def tuned_pillow(picture: Path, formats: list[ExportFormat], pool: ThreadPoolExecutor, folder: Path) -> None:
    """Decode once, make each size once, in two threads."""
    with Image.open(picture) as opened:
        source = opened.convert("RGB")

    def one(size: tuple[int, int]) -> None:
        # Into a file: Pillow writes to one without the interpreter's lock, to a BytesIO with it.
        ImageOps.fit(source, size, Image.Resampling.LANCZOS).save(
            folder / f"{size[0]}x{size[1]}.jpg", "JPEG", quality=QUALITY
        )

    list(pool.map(one, sizes(formats)))


def floor(pictures: list[NDArray[np.uint8]], pool: ThreadPoolExecutor) -> None:
    """Only encode each size, in two threads."""
    list(pool.map(lambda pixels: simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", "420"), pictures))


def pyvips_ways(picture: Path, formats: list[ExportFormat]) -> dict[str, Way]:
    """Return libvips' ways, each format by itself and with the source decoded once; none without pyvips."""
    try:
        import pyvips
    except ImportError:
        print("pyvips is not installed: uv pip install pyvips pyvips-binary")
        return {}

    def save(image: Any) -> None:
        image.jpegsave_buffer(Q=QUALITY, subsample_mode="on")

    def each() -> None:
        for entry in formats:
            save(
                pyvips.Image.thumbnail(
                    str(picture), entry.width, height=entry.height, crop="centre", size="both"
                )
            )

    def shared() -> None:
        source = pyvips.Image.new_from_file(str(picture)).copy_memory()
        for width, height in sizes(formats):
            save(source.thumbnail_image(width, height=height, crop="centre", size="both"))

    return {"pyvips, each from the file": timed(each), "pyvips, decoded once": timed(shared)}


def opencv_ways(picture: Path, formats: list[ExportFormat], pool: ThreadPoolExecutor) -> dict[str, Way]:
    """Return OpenCV's ways, which do not antialias; none without OpenCV."""
    try:
        import cv2
    except ImportError:
        print("OpenCV is not installed: uv pip install opencv-python-headless")
        return {}

    def make(source: Any, width: int, height: int) -> None:
        high, wide = source.shape[:2]
        scale = max(width / wide, height / high)
        across, down = round(width / scale), round(height / scale)
        left, top = (wide - across) // 2, (high - down) // 2
        part = source[top : top + down, left : left + across]
        made = cv2.resize(part, (width, height), interpolation=cv2.INTER_LANCZOS4)
        cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])

    def each() -> None:
        for entry in formats:
            make(cv2.imread(str(picture)), entry.width, entry.height)

    def shared() -> None:
        source = cv2.imread(str(picture))
        list(pool.map(lambda size: make(source, *size), sizes(formats)))

    return {"OpenCV Lanczos, each from the file": timed(each), "OpenCV Lanczos, shared": timed(shared)}


@contextmanager
def sharp_ways(picture: Path, formats: list[ExportFormat], folder: Path | None) -> Iterator[dict[str, Way]]:
    """Yield sharp's ways, one after another and all at once; none where node or sharp is missing.

    `folder` has sharp in its node_modules; None installs it into a temporary one.
    """
    with tempfile.TemporaryDirectory() as own:
        place = _sharp_folder(folder, Path(own))
        if place is None:
            yield {}
            return
        asked = json.dumps([{"width": f.width, "height": f.height, "dpi": f.dpi} for f in formats])
        with subprocess.Popen(
            [shutil.which("node") or "node", str(HERE / "sharp.mjs"), str(picture), asked],
            cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as child:  # fmt: skip

            def way(name: str) -> Way:
                def run() -> tuple[float, float]:
                    assert child.stdin is not None
                    assert child.stdout is not None
                    child.stdin.write(name + "\n")
                    wall, cpu = json.loads(child.stdout.readline())
                    return float(wall), float(cpu)

                return run

            yield {"sharp, one after another": way("turn"), "sharp, all at once": way("once")}


def _sharp_folder(folder: Path | None, own: Path) -> Path | None:
    if not shutil.which("node"):
        print("node is missing (Debian: apt-get install nodejs npm): sharp is left out")
        return None
    if folder is not None:
        return folder
    if not shutil.which("npm"):
        print("npm is missing (Debian: apt-get install npm): sharp is left out")
        return None
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(own), "sharp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    if done.returncode:
        print(f"sharp cannot be installed, it is left out: {done.stderr.strip()[-300:]}")
        return None
    return own
