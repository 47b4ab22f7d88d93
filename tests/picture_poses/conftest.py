"""The real estimator, opened once."""

import pytest

from posegen.accuracy.process import PooledEstimator, shared_pool
from posegen.accuracy.registry import choose_estimator


@pytest.fixture(scope="session")
def estimator():
    spec = choose_estimator("auto", {})
    if spec is None:
        pytest.skip("mediapipe is not installed")
    return PooledEstimator(shared_pool(spec))
