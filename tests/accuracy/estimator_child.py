"""An estimator's process with an estimator whose behaviour the picture's size decides."""

import os
import sys
import time

import numpy as np

from posegen.accuracy import child, registry
from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.accuracy.registry import EstimatorKind, EstimatorOptions


class Options(EstimatorOptions):
    people: int = 1
    broken: bool = False


class SizeEstimator:
    def __init__(self, people, broken):
        if broken:
            raise RuntimeError("no such weights")
        self.people = people
        self.info = EstimatorInfo("size", "1.0", "ab" * 32)

    def estimate(self, pixels):
        height, width = pixels.shape[:2]
        print("a model's own words")  # noqa: T201
        if width == 13:
            os.abort()
        if width == 14:
            time.sleep(3600)
        if width == 15:
            raise ValueError("cannot look at that")
        keypoints = np.full((17, 3), float(height))
        keypoints[3] = np.nan
        return [Person(keypoints, np.full((33, 3), float(width))) for _ in range(self.people)]


if __name__ == "__main__":
    sys.modules["estimator_child"] = sys.modules["__main__"]
    registry.ESTIMATORS["size"] = EstimatorKind("estimator_child", "SizeEstimator", (), "none", Options)
    child.main()
