"""Time the keypoints of every pose of the library in 8 views, plain and mirrored: 1,024 targets at once."""

from __future__ import annotations

import statistics
import time

from posegen.poses.library import PoseLibrary
from posegen.poses.targets import ALL_VIEWS, keypoints_many


def main() -> None:
    poses = list(PoseLibrary.builtin())
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        targets = keypoints_many(poses, ALL_VIEWS, 1024, 1024)
        seconds.append(time.perf_counter() - started)
    count = targets.shape[0] * targets.shape[1]
    print(f"{count} targets: median {statistics.median(seconds):.2f} s, least {min(seconds):.2f} s")


if __name__ == "__main__":
    main()
