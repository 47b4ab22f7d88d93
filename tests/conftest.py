import os
import socket
from pathlib import Path

import hypothesis
import loopback_only
import pytest

# Before anything is imported: a picture drawn in a test never opens a window.
os.environ["MPLBACKEND"] = "agg"

# Keys and folders of whoever runs the tests decide nothing.
for _name in [
    name for name in os.environ if name.startswith(("STORAGE_", "POSEGEN_", "R2_", "AWS_", "OTEL_"))
]:
    del os.environ[_name]

# Loading the estimator takes seconds in every process; the tests of measuring ask for it.
os.environ["POSEGEN_ESTIMATOR"] = "off"

# No deadline: how fast an example runs says nothing about whether it is right. CI has a profile of its own,
# without a deadline and with the same examples each time.
if "CI" not in os.environ:
    hypothesis.settings.register_profile("posegen", deadline=None)
    hypothesis.settings.load_profile("posegen")

loopback_only.install()
_guard = str(Path(loopback_only.__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_guard, os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session", autouse=True)
def _network_is_refused():
    """Show that the guard stands before any test relies on it (the address is reserved for documentation)."""
    with socket.socket() as outward, pytest.raises(loopback_only.NetworkRefusedError):
        outward.connect(("192.0.2.1", 9))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Return the folder that pyproject.toml is in."""
    return Path(__file__).resolve().parents[1]
