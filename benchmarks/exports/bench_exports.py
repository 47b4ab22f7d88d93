"""All 12 exports of one 1024x1024 PNG file, beside Pillow, libvips, OpenCV and sharp.

Run by hand, on an idle machine, in an environment of its own with what is compared:

    uv venv /tmp/peers && uv pip install --python /tmp/peers -e . pyvips pyvips-binary opencv-python-headless
    OMP_NUM_THREADS=1 /tmp/peers/bin/python benchmarks/exports/bench_exports.py

Whatever is missing is left out, and said. sharp is installed by npm into a temporary folder, unless --sharp
names one that has it. All make the cover crop, JPEG of quality 90 and 4:2:0, in memory; all are run in turn,
`--rounds` times, and medians are shown. Ratios count, not the times. posegen's files also have profile, EXIF
and XMP.
"""

from __future__ import annotations

import argparse
import functools
import io
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers import Way, floor, opencv_ways, plain_pillow, pyvips_ways, sharp_ways, sizes, timed, tuned_pillow
from PIL import Image

from posegen.exports.crop import Crop, Figure, choose_crop
from posegen.exports.formats import EXPORT_FORMATS, ExportFormat
from posegen.exports.render import Renderer, crop_pixels
from posegen.images import digital_source_type_xmp, read_picture, thumbnail_jpeg

SIZE = 1024
THREADS = 2
FORMATS = list(EXPORT_FORMATS.values())
FIGURES = {
    "a standing figure": Figure((330.0, 60.0, 690.0, 985.0), whole=True),
    "a wide figure": Figure((40.0, 330.0, 985.0, 900.0), whole=True),
}
FLOOR = "the floor: encoding alone, 2 threads"
OURS, NAIVE, TUNED, SHARP = (
    "posegen",
    "Pillow, opened for each",
    "Pillow tuned, 2 threads",
    "sharp, one after another",
)
TARGETS = {NAIVE: 0.15, TUNED: 0.40, SHARP: 0.10}
"""facts/performance.md: what ours may take of theirs."""


def photo_like() -> NDArray[np.uint8]:
    """Return soft colours with grain, which is hard on PNG."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.asarray((soft + random.normal(0, 3, soft.shape)).clip(0, 255).astype(np.uint8))


def crop_of(entry: ExportFormat, figure: Figure | None) -> Crop:
    """Return the cover crop, or with a figure the one that the pipeline takes."""
    size = (entry.width, entry.height)
    if figure is None:
        return choose_crop((SIZE, SIZE), size, None)
    return choose_crop((SIZE, SIZE), size, figure, safe_area=entry.safe_area)


def silhouette(figure: Figure) -> NDArray[np.bool_]:
    """Return an ellipse in the figure's box."""
    left, top, right, bottom = figure.box
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    across, down = (x - (left + right) / 2) / (right - left), (y - (top + bottom) / 2) / (bottom - top)
    return np.asarray(across**2 + down**2 <= 0.25)


def posegen(picture: Path, pool: ThreadPoolExecutor, figure: Figure | None) -> None:
    """Do what the pipeline does: decode once, the largest first, formats of one size in turn."""
    pixels, metadata = read_picture(picture.read_bytes())
    renderer = Renderer(
        pixels,
        avoid=None if figure is None else silhouette(figure),
        parameters=metadata.parameters or "a figure",
        xmp=digital_source_type_xmp("rendered"),
    )

    def one(entries: list[ExportFormat]) -> None:
        for entry in entries:
            renderer.render(crop_of(entry, figure), entry)

    def size(entry: ExportFormat) -> tuple[int, int]:
        return entry.width * entry.height, entry.width

    ordered = sorted(FORMATS, key=size, reverse=True)
    list(pool.map(one, [list(entries) for _, entries in groupby(ordered, size)]))


def thumbnail_from_file(picture: Path) -> None:
    """Make a thumbnail as plain Pillow does."""
    with Image.open(picture) as source:
        small = source.convert("RGB").resize((400, 400), Image.Resampling.LANCZOS)
    small.save(io.BytesIO(), "JPEG", quality=85)


def show_times(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Run all ways in turn, print the medians, and return those of the wall times."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            run = way()
            if number:  # the first warms up
                runs[name].append(run)
    wall = {name: statistics.median(run[0] for run in those) for name, those in runs.items()}
    print(f"\n{'':36}{'wall ms':>9}{'CPU ms':>9}{'x naive':>9}{'ours is':>9}{'target':>9}")
    for name, those in runs.items():
        cpu = statistics.median(run[1] for run in those)
        ratio, target = wall[OURS] / wall[name], TARGETS.get(name)
        said = "" if target is None else f"{target:9.2f} {'met' if ratio <= target else 'MISSED'}"
        print(f"{name:36}{wall[name]:9.0f}{cpu:9.0f}{wall[name] / wall[NAIVE]:9.3f}{ratio:9.3f}{said}")
    return wall


def show_quality(pixels: NDArray[np.uint8]) -> None:
    """Print how far the resampled pixels are from Pillow's."""
    print("\nPSNR of the resampled pixels against Pillow's LANCZOS, before encoding (targets: 45, print 60)")
    image = Image.fromarray(pixels)
    for entry in FORMATS:
        crop = crop_of(entry, None)
        ours = crop_pixels(pixels, crop, entry.width, entry.height).astype(np.float32)
        box = (crop.left, crop.top, crop.right, crop.bottom)
        theirs = np.asarray(image.resize((entry.width, entry.height), Image.Resampling.LANCZOS, box=box))
        error = float(np.mean((ours - theirs) ** 2))
        psnr = 10 * np.log10(255**2 / error) if error else np.inf
        least = 60 if entry.category == "print" else 45
        said = "met" if psnr >= least else "MISSED"
        print(f"  {entry.name:18}{entry.width:5}x{entry.height:<6}{psnr:6.1f} dB {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "picture", nargs="?", type=Path, help="a 1024x1024 PNG instead of soft colours with grain"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sharp", type=Path, help="a folder with sharp in its node_modules")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(THREADS) as pool:
        folder = Path(name)
        picture = asked.picture or folder / "picture.png"
        if asked.picture is None:
            Image.fromarray(photo_like()).save(picture)
        pixels, _ = read_picture(picture.read_bytes())
        encoded = [
            crop_pixels(pixels, choose_crop((SIZE, SIZE), size, None), *size) for size in sizes(FORMATS)
        ]
        with sharp_ways(picture, FORMATS, asked.sharp) as sharp:
            ways = {
                OURS: timed(functools.partial(posegen, picture, pool, None)),
                **{
                    f"posegen, framed round {what}": timed(functools.partial(posegen, picture, pool, figure))
                    for what, figure in FIGURES.items()
                },
                FLOOR: timed(functools.partial(floor, encoded, pool)),
                NAIVE: timed(functools.partial(plain_pillow, picture, FORMATS)),
                TUNED: timed(functools.partial(tuned_pillow, picture, FORMATS, pool, folder)),
                **pyvips_ways(picture, FORMATS),
                **opencv_ways(picture, FORMATS, pool),
                **sharp,
            }
            wall = show_times(ways, asked.rounds)
        share = wall[FLOOR] / wall[OURS]
        print(f"\nThe floor is {share:.2f} of what posegen takes.")
        thumbs = {
            "ours": timed(functools.partial(thumbnail_jpeg, pixels)),
            "file": timed(functools.partial(thumbnail_from_file, picture)),
        }
        cpu = {name: statistics.median(way()[1] for _ in range(15)) for name, way in thumbs.items()}
        ratio = cpu["ours"] / cpu["file"]
        said = "met" if ratio <= 0.25 else "MISSED"
        print(
            f"Thumbnail from the decoded picture: {cpu['ours']:.1f} ms CPU; from the file by Pillow:", end=" "
        )
        print(f"{cpu['file']:.1f}; ratio {ratio:.2f} (target 0.25, {said})")
        show_quality(pixels)


if __name__ == "__main__":
    main()
