"""What docs/operations.md says of variables and defaults is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from posegen import nightly
from posegen.parameters import BatchParameters, RecoveryParameters, check, defaults
from posegen.settings import (
    CREDITS_BACKGROUND,
    CREDITS_PER_IMAGE,
    IMAGE_SCREENING_THRESHOLD,
    STALL_AFTER_S,
    STARTING_GRANT,
    VARIABLES,
)


def text(project_root: Path) -> str:
    return (project_root / "docs/operations.md").read_text(encoding="utf-8")


def test_every_variable_is_in_the_table_with_its_default(project_root: Path) -> None:
    table = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| ([^|]+) \|", text(project_root), re.MULTILINE))
    assert set(table) == set(VARIABLES.values())
    assert table["POSEGEN_CREDITS_PER_IMAGE"] == str(CREDITS_PER_IMAGE)
    assert table["POSEGEN_CREDITS_BACKGROUND"] == str(CREDITS_BACKGROUND)
    assert table["POSEGEN_STARTING_GRANT"] == str(STARTING_GRANT)
    assert table["POSEGEN_IMAGE_SCREENING_THRESHOLD"] == str(IMAGE_SCREENING_THRESHOLD)
    assert table["POSEGEN_STALL_AFTER_S"] == f"{STALL_AFTER_S:.0f}"


def test_the_thresholds_named_are_the_defaults(project_root: Path) -> None:
    values = defaults(RecoveryParameters)
    said = text(project_root)
    for name, words in {
        "stall_after_minutes": "30 min", "fail_after_hours": "2 h", "clean_after_days": "7 days",
    }.items():  # fmt: skip
        assert re.search(rf"{words}[^|]*`{name}`", said), name
        assert values[name] == float(words.split()[0])


def test_the_nightly_file_shown_is_right(project_root: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", text(project_root), re.DOTALL)
    assert shown is not None
    parameters = check(nightly.NightlyParameters, yaml.safe_load(shown[1]))
    check(RecoveryParameters, parameters.recovery)
    check(BatchParameters, {**parameters.batch, "run_id": "nightly-20260301"})
