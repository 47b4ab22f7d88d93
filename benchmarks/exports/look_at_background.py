"""Continue pictures beyond their edges, to look at: `look_at_background.py OUT FILE...`.

Writes one PNG a picture and prints the processor's time. Without files it makes a brick wall, a lawn, a sea
with its horizon and a studio sweep. Run with OMP_NUM_THREADS=1 for times that compare.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from posegen.exports.background import continued

_SIDE = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--grow", type=int, nargs=4, default=[350, 0, 350, 0], metavar="PX", help="l t r b")
    parser.add_argument("--avoid", type=float, nargs=4, metavar="PX", help="the figure's box: l t r b")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = {file.stem: np.asarray(Image.open(file).convert("RGB")) for file in arguments.files}
    for name, pixels in (files or _made()).items():
        started = time.process_time()
        grown = continued(pixels, *arguments.grow, avoid=arguments.avoid)
        print(f"{name}: {time.process_time() - started:.3f} s", flush=True)
        Image.fromarray(grown).save(arguments.out / f"{name}.png")


def _made() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:_SIDE, :_SIDE]
    column = (x + y // 48 % 2 * 64) // 128
    tones = 120 + 20 * np.random.default_rng(1).standard_normal((40, 40))
    mortar = (y % 48 < 7) | ((x + y // 48 % 2 * 64) % 128 < 7)
    greys = {
        "bricks": np.where(mortar, 210, tones[y // 48, column]) + 5 * _noise(1, 1),
        "grass": 110 + 20 * _noise(2, 1) + 14 * _noise(3, 6) + 10 * _noise(4, 24),
        "sea": np.where(y < 430, 190 + y / 12 + 4 * _noise(5, 90), 90 + 14 * _noise(6, 3)),
        "studio": 205 - 40 * ((x - _SIDE / 2) ** 2 + (y - _SIDE / 2) ** 2) / _SIDE**2 * 2 + _noise(7, 1),
    }
    return {
        name: np.clip(np.stack([grey, 0.9 * grey, 0.8 * grey], axis=2), 0, 255).astype(np.uint8)
        for name, grey in greys.items()
    }


def _noise(seed: int, sigma: int) -> np.ndarray:
    count = _SIDE // sigma + 2
    small = np.random.default_rng(seed).standard_normal((count, count)).astype(np.float32)
    smooth = Image.fromarray(small).resize((count * sigma, count * sigma), Image.Resampling.BICUBIC)
    values = np.asarray(smooth)[:_SIDE, :_SIDE]
    return (values - values.mean()) / values.std()


if __name__ == "__main__":
    main()
