"""The rows that a run's journal adds up to: one struct per table, whose fields are the table's columns.

A field's type is the column's: str is VARCHAR, int BIGINT, float DOUBLE, bool BOOLEAN; fields named `*_at`
are TIMESTAMP, in UTC. What may be missing is NULL, never 0 or an empty text. docs/metrics.md says what each
means.
"""

from __future__ import annotations

from functools import cache
from typing import get_args, get_type_hints

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all rows carry: the run they are of, by the name of its folder."""

    run_id: str


class RunRow(Row, frozen=True, kw_only=True, gc=False):
    """A run. `outcome` is "successful" or "failed" once it has ended, NULL before."""

    status: str
    outcome: str | None = None
    project: str | None = None
    user: str | None = None
    planned: int = 0
    made: int = 0
    failed: int = 0
    pending: int = 0
    rejected: int = 0
    measured: int = 0
    exported: int = 0
    attempts: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    duration_ms: int | None = None
    cost_usd: float | None = None
    image_bytes: int = 0
    thumbnail_bytes: int = 0
    export_bytes: int = 0
    rejected_bytes: int = 0
    journal_bytes: int = 0
    posegen_version: str | None = None
    torn_lines: int = 0
    fenced_lines: int = 0
    unknown_events: int = 0
    foreign_lines: int = 0


class ImageRow(Row, frozen=True, kw_only=True, gc=False):
    """An image that was planned: stored, failed or pending, with its accuracy where it was measured."""

    task_id: str
    position: int | None = None
    user: str | None = None
    project: str | None = None
    run_started_at: str | None = None
    status: str
    made_at: str | None = None
    attempt: int | None = None
    adopted: bool | None = None
    pose_id: str | None = None
    yaw_deg: float | None = None
    mirrored: bool | None = None
    backend: str | None = None
    model: str | None = None
    provider: str | None = None
    conditioning_asked: str | None = None
    conditioning: str | None = None
    synthetic: bool | None = None
    width: int | None = None
    height: int | None = None
    tries: int = 0
    size_bytes: int | None = None
    thumbnail_bytes: int | None = None
    duration_ms: float | None = None
    cost_usd: float | None = None
    key: str | None = None
    code: str | None = None
    estimator: str | None = None
    people: int | None = None
    oks: float | None = None
    pck_10: float | None = None
    pck_20: float | None = None
    mean_error: float | None = None
    angle_error_deg: float | None = None
    swapped: bool | None = None
    keypoints_counted: int | None = None


class EventRow(Row, frozen=True, kw_only=True, gc=False):
    """A line of a journal that counts."""

    attempt: int
    seq: int
    logged_at: str
    event: str
    schema_version: int
    task_id: str | None = None
    format: str | None = None
    code: str | None = None
    message: str | None = None
    name: str | None = None
    value: float | None = None
    unit: str | None = None
    tags: str | None = None


class ErrorRow(Row, frozen=True, kw_only=True, gc=False):
    """Something that could not be made; `final` if it was not made later either."""

    task_id: str
    kind: str
    format: str | None = None
    code: str
    message: str
    failed_at: str
    attempt: int
    final: bool
    backend: str | None = None


class ExportRow(Row, frozen=True, kw_only=True, gc=False):
    """The newest export of an image in a format, or its failure."""

    task_id: str
    format: str
    status: str
    exported_at: str
    attempt: int
    key: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    quality: int | None = None
    code: str | None = None


class StageRow(Row, frozen=True, kw_only=True, gc=False):
    """How long one stage of an image took, or what `measure` timed."""

    task_id: str | None = None
    stage: str
    duration_ms: float | None
    timed_at: str
    backend: str | None = None


class CandidateRow(Row, frozen=True, kw_only=True, gc=False):
    """A try below the bar of the quality gate; `kept` if it became the image all the same."""

    task_id: str
    candidate: int
    kept: bool
    rejected_at: str
    backend: str | None = None
    oks: float
    min_oks: float
    size_bytes: int
    duration_ms: float
    cost_usd: float | None = None


class AttemptRow(Row, frozen=True, kw_only=True, gc=False):
    """An attempt of a run; `found` are the images that earlier attempts had made."""

    attempt: int
    kind: str
    started_at: str
    last_at: str
    ended_at: str | None = None
    outcome: str | None = None
    interrupted: str | None = None
    posegen_version: str | None = None
    found: int = 0
    made: int = 0
    failed: int = 0


class CreditRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the accounts."""

    entry_id: int
    user: str
    kind: str
    amount: int
    run_id: str | None = None
    attempt: int | None = None
    task_id: str | None = None
    hold_id: int | None = None
    charged: int | None = None
    entered_at: str
    note: str


class PoseRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pose of the built-in library."""

    pose_id: str
    pose_name: str
    category: str


TABLES: dict[str, type[msgspec.Struct]] = {
    "runs": RunRow,
    "images": ImageRow,
    "events": EventRow,
    "errors": ErrorRow,
    "exports": ExportRow,
    "stages": StageRow,
    "candidates": CandidateRow,
    "attempts": AttemptRow,
}
"""The tables that come from journals, and that compaction keeps."""

BESIDE: dict[str, type[msgspec.Struct]] = {"credits": CreditRow, "poses": PoseRow}
"""The tables that are read anew each time."""

Rows = dict[str, list[msgspec.Struct]]
"""Rows by table."""

_SQL = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN"}


@cache
def columns(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the names and SQL types of a table's columns.

    >>> columns(PoseRow)
    {'pose_id': 'VARCHAR', 'pose_name': 'VARCHAR', 'category': 'VARCHAR'}
    """
    hints = get_type_hints(kind)
    found = {}
    for name in kind.__struct_fields__:
        choices = get_args(hints[name]) or (hints[name],)
        found[name] = "TIMESTAMP" if name.endswith("_at") else _SQL[choices[0]]
    return found
