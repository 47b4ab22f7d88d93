import subprocess
import sys

import pytest

from posegen.accuracy import registry
from posegen.accuracy.registry import ESTIMATORS, EstimatorKind, EstimatorSpec, choose_estimator
from posegen.errors import ParameterError, UnknownNameError


def test_off_is_none():
    assert choose_estimator("off", {}) is None


def test_auto_is_the_default_one_where_it_is_installed(monkeypatch):
    assert choose_estimator("auto", {}) == EstimatorSpec("mediapipe")
    monkeypatch.setitem(ESTIMATORS, "mediapipe", EstimatorKind("m", "f", ("no_such_package",), "accuracy"))
    assert choose_estimator("auto", {}) is None


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'mediapipe'"):
        choose_estimator("mediapip", {})


def test_what_is_asked_for_by_name_must_be_installed(monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "mediapipe", EstimatorKind("m", "f", ("no_such_package",), "accuracy"))
    with pytest.raises(
        ParameterError, match=r"no_such_package not installed: pip install 'posegen\[accuracy\]'"
    ):
        choose_estimator("mediapipe", {})


def test_options_need_a_name_and_have_to_be_known():
    with pytest.raises(ParameterError, match="name the estimator"):
        choose_estimator("auto", {"model": "x"})
    with pytest.raises(ParameterError, match="model: Extra inputs"):
        choose_estimator("mediapipe", {"model": "x"})


def test_asking_imports_nothing_heavy():
    code = (
        "import sys; from posegen.accuracy import registry, process; import posegen.pipeline.run;"
        "registry.choose_estimator('auto', {});"
        "print([m for m in ('mediapipe', 'cv2', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_kind_can_be_found():
    for name, kind in ESTIMATORS.items():
        assert kind.module.startswith("posegen.accuracy."), name
        assert registry.importlib.util.find_spec(kind.module) is not None
