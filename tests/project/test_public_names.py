import subprocess
import sys

import pytest

import posegen


@pytest.mark.parametrize("name", posegen.__all__)
def test_every_public_name_is_there(name):
    assert getattr(posegen, name) is not None


def test_public_names_are_sorted_and_unique():
    assert list(posegen.__all__) == sorted(set(posegen.__all__))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = posegen.nonsense


def test_importing_posegen_loads_nothing_heavy():
    """Low layers read posegen.__version__, and every command pays for this import."""
    code = "import sys, posegen; print(*sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "pydantic", "matplotlib", "papermill"}.isdisjoint(child.stdout.split())
