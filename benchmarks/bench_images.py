"""PNG, thumbnail and contact sheet of one 1024x1024 picture beside plain Pillow.

Run by hand: `OMP_NUM_THREADS=1 python benchmarks/bench_images.py [PICTURE]`. Ratios count, not the times.
"""

from __future__ import annotations

import argparse
import functools
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.images import SheetItem, contact_sheet, decode, encode_png, thumbnail_jpeg

SIZE = 1024


def photo_like() -> NDArray[np.uint8]:
    """Return soft colours with grain, which is hard on PNG."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)
    return (soft + random.normal(0, 3, soft.shape)).clip(0, 255).astype(np.uint8)


def flat() -> NDArray[np.uint8]:
    """Return a gradient with smooth shapes, as a renderer draws."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    picture = np.stack([225 - y * 0.04, 228 - y * 0.05 + x * 0.01, 232 - y * 0.03], axis=-1)
    for number in range(12):
        inside = ((x - 300 - 40 * number) / 80) ** 2 + ((y - 250 - 45 * number) / 130) ** 2 < 1
        picture[inside] = (20 * number, 255 - 20 * number, 120)
    return picture.clip(0, 255).astype(np.uint8)


def pillow_png(pixels: NDArray[np.uint8], level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def pillow_thumbnail(file: bytes) -> bytes:
    """Return a thumbnail as it is usually made: from the file, Lanczos, cover crop of a square."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(file)) as image:
        image.convert("RGB").resize((400, 400), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def interleaved(works: dict[str, Callable[[], object]], repeats: int = 15) -> dict[str, float]:
    """Return the median CPU milliseconds of each, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.process_time()
            work()
            times[name].append((time.process_time() - started) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def report(name: str, pixels: NDArray[np.uint8]) -> None:
    file = encode_png(pixels)
    print(f"{name}, {pixels.shape[1]}x{pixels.shape[0]}")
    works: dict[str, Callable[[], object]] = {"encode_png": lambda: encode_png(pixels)}
    sizes = {"encode_png": len(file)}
    for level in (1, 3, 6):
        works[f"Pillow PNG level {level}"] = functools.partial(pillow_png, pixels, level)
        sizes[f"Pillow PNG level {level}"] = len(pillow_png(pixels, level))
    works["thumbnail_jpeg"] = lambda: thumbnail_jpeg(pixels)
    works["Pillow thumbnail from the file"] = lambda: pillow_thumbnail(file)
    works["decode"] = lambda: decode(file)
    times = interleaved(works)
    for label, value in times.items():
        size = f"{sizes[label] / 1000:8.0f} kB" if label in sizes else ""
        print(f"  {label:32} {value:8.1f} ms {size}")
    ratio = times["thumbnail_jpeg"] / times["Pillow thumbnail from the file"]
    likeness = psnr(decode(thumbnail_jpeg(pixels)), decode(pillow_thumbnail(file)))
    print(f"  thumbnail: {ratio:.2f} of Pillow from the file; PSNR between the two {likeness:.0f} dB")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("picture", type=Path, nargs="?", help="a picture of your own")
    given = arguments.parse_args()
    if given.picture:
        report(given.picture.name, decode(given.picture.read_bytes()))
    else:
        report("renderer-like", flat())
        report("photo-like", photo_like())
    item = SheetItem(photo_like(), "a pose", "yaw 0, seed 7")
    times = interleaved(
        {
            "contact sheet of 12": lambda: contact_sheet([item] * 12),
            "contact sheet of 100": lambda: contact_sheet([item] * 100),
        },
        repeats=3,
    )
    for label, value in times.items():
        print(f"{label:34} {value:8.1f} ms")


if __name__ == "__main__":
    main()
