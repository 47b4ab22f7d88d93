"""The gate of the stored experiment: nbval passes it as it is, and refuses it with one number changed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbval", reason="nbval compares stored outputs")
pytestmark = pytest.mark.notebook

HERE = Path(__file__).parent
NAME = "stored_experiment"


def nbval(notebook: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120", "-q",
        "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(notebook.parent), str(notebook),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(HERE / NAME, tmp_path / NAME)
    return Path(shutil.copy(HERE / f"{NAME}.ipynb", tmp_path))


def test_it_passes_as_it_is(copied: Path) -> None:
    done = nbval(copied)
    assert done.returncode == 0, done.stdout


def test_one_changed_number_fails(copied: Path) -> None:
    notebook: dict[str, Any] = json.loads(copied.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if "effects()" in "".join(cell["source"]))
    text = "".join(cell["outputs"][0]["text"])
    changed = re.sub(r"\+0\.(\d)", lambda found: f"+0.{(int(found[1]) + 1) % 10}", text, count=1)
    assert changed != text
    cell["outputs"][0]["text"] = [changed]
    copied.write_text(json.dumps(notebook), encoding="utf-8")
    done = nbval(copied)
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout


def test_one_changed_measurement_fails(copied: Path) -> None:
    journal = copied.parent / NAME / "runs/stored/journal/0001.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if '"image_measured"' in line)
    lines[place] = re.sub(r'"oks":0\.\d+', '"oks":0.5', lines[place])
    journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert nbval(copied).returncode == 1


def test_it_is_small_and_names_no_machine() -> None:
    data = (HERE / NAME / "runs/stored/journal/0001.jsonl").read_bytes()
    assert len(data) < 300_000
    assert b'"host":"somewhere"' in data
