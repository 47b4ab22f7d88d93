"""Recovery beside itself and beside running batches: one owner, nothing made twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

RECOVER = """
import json, sys
from pathlib import Path
from posegen.parameters import RecoveryParameters
from posegen.recovery import recover
from posegen.settings import Settings
report = recover(
    RecoveryParameters(concurrency=1), Settings(root=Path(sys.argv[1])), on_progress=lambda _: None
)
print(json.dumps([row.row() for row in report.rows]))
"""


@pytest.mark.parametrize("count", [2])
def test_two_recoveries_at_once(world: Any, tmp_path: Path, count: int) -> None:
    values = {"backend": "figure", "more": {"prompts": [], "poses": ["standing_relaxed"]}}
    runs = [world.killed(f"r{number}", images=3, nth=1, **values) for number in range(3)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RECOVER, str(world.root)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        for _ in range(count)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, answers
    rows = [row for out, _ in answers for row in json.loads(out)]
    assert sum(row["made"] for row in rows) == 6
    assert {row["action"] for row in rows} <= {"resume", "wait", "leave"}
    for run in runs:
        run.check()
        assert len(run.state.attempts) == 2
