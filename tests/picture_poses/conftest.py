"""The real estimator, opened once."""

import gc
import warnings

import pytest

from posegen.accuracy.registry import choose_estimator, open_estimator


@pytest.fixture(scope="session")
def estimator():
    spec = choose_estimator("auto", {})
    if spec is None:
        pytest.skip("mediapipe is not installed")
    # mediapipe's metadata writer leaves temporary files open for the collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        opened = open_estimator(spec)
        gc.collect()
    return opened
