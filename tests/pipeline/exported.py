"""A finished run to export, and what exports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posegen.journal import RunState, read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline.export_report import ExportReport
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings

POSES = ["standing_relaxed", "walking_stride", "yoga_warrior_two"]

Export = Callable[..., ExportReport]


def quiet(_: object) -> None:
    """Show nothing."""


def make(settings: Settings, **values: Any) -> Plan:
    given = {"backend": "plain", "poses": POSES, "width": 256, "height": 256, "run_id": "r", **values}
    plan = build_plan(check(BatchParameters, given))
    start(plan, settings).wait(quiet)
    return plan


def state(settings: Settings) -> RunState:
    return read_run(settings.root, "r")


def counts(report: ExportReport) -> tuple[int, int, int]:
    return report.made, report.up_to_date, report.failed


def damaged(settings: Settings, event: Any, how: str) -> None:
    path = settings.root / event.key
    if how == "gone":
        path.unlink()
    elif how == "changed":
        path.write_bytes(path.read_bytes()[::-1])
    else:
        path.write_bytes(path.read_bytes()[:-1])
