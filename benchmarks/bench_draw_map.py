"""Compare control maps with OpenCV's: differing pixels over random keypoints, and milliseconds per map.

    OMP_NUM_THREADS=1 python benchmarks/bench_draw_map.py --cases 2000

Needs `opencv-python-headless`, which draws as the ControlNet annotators do (one person, limbs and joints).
"""

from __future__ import annotations

import argparse
import math
import time

import cv2
import numpy as np

from posegen.controlnet.draw import draw_map
from posegen.skeletons import OPENPOSE_18, OPENPOSE_COLORS

# A person standing with the arms lowered, in the unit square.
STANDING = np.array([
    (0.50, 0.12), (0.50, 0.22), (0.42, 0.22), (0.36, 0.36), (0.30, 0.48), (0.58, 0.22),
    (0.64, 0.36), (0.70, 0.48), (0.45, 0.52), (0.44, 0.72), (0.43, 0.92), (0.55, 0.52),
    (0.56, 0.72), (0.57, 0.92), (0.48, 0.10), (0.52, 0.10), (0.45, 0.11), (0.55, 0.11),
])  # fmt: skip


def opencv_map(person, width, height):
    """Draw one person with OpenCV in the annotators' convention."""
    x, y = person[:, 0] / width * width, person[:, 1] / height * height
    canvas = np.zeros((height, width, 3), np.uint8)
    for (a, b), color in zip(OPENPOSE_18.limbs, OPENPOSE_COLORS[:17], strict=True):
        if person[a, 2] and person[b, 2]:
            dx, dy = float(x[a] - x[b]), float(y[a] - y[b])
            center = int((x[a] + x[b]) / 2), int((y[a] + y[b]) / 2)
            axes, angle = (int((dx**2 + dy**2) ** 0.5 / 2), 4), int(math.degrees(math.atan2(dy, dx)))
            polygon = cv2.ellipse2Poly(center, axes, angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, polygon, [int(0.6 * channel) for channel in color])
    for joint, color in enumerate(OPENPOSE_COLORS):
        if person[joint, 2]:
            cv2.circle(canvas, (int(x[joint]), int(y[joint])), 4, color, thickness=-1)
    return canvas


def compare(cases):
    """Print how many random maps differ, and by how much at most."""
    rng = np.random.default_rng(0)
    shares = []
    for case in range(cases):
        width, height = (int(side) for side in rng.integers(256, 2049, 2))
        spread = (1.0, 0.1, 3.0, 30.0)[case % 4]
        person = np.ones((18, 3))
        person[:, :2] = ((rng.random((18, 2)) - 0.5) * spread + 0.5) * [width, height]
        if case % 3 == 0:
            person[:, :2] = np.round(person[:, :2])
        person[:, 2] = rng.random(18) > 0.1
        differing = draw_map(person, width, height) != opencv_map(person, width, height)
        shares.append(differing.any(axis=-1).mean())
    print(
        f"{cases} random maps: {np.count_nonzero(shares)} differ, at most {100 * max(shares):.4f} % of pixels"
    )


def milliseconds(draw, *arguments, repeats=50):
    """Return the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        draw(*arguments)
        times.append(1e3 * (time.process_time() - start))
    return float(np.median(times))


def main():
    """Compare pixels, then time both at three sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    options = parser.parse_args()
    print(f"OpenCV {cv2.__version__}, NumPy {np.__version__}")
    compare(options.cases)
    for side in (512, 1024, 2048):
        person = np.column_stack([STANDING * side, np.ones(18)])
        ours = milliseconds(draw_map, person, side, side)
        theirs = milliseconds(opencv_map, person, side, side)
        print(f"{side} x {side}: posegen {ours:.1f} ms, OpenCV {theirs:.1f} ms (CPU, median)")


if __name__ == "__main__":
    main()
