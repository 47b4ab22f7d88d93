"""Figures about runs: SQL views over all journals and what was compacted of them, and ready answers.

>>> with connect("no such folder") as connection:
...     system_metrics(connection).total_generations
0
"""

from posegen.metrics.answers import (
    ErrorCount,
    SystemMetrics,
    error_analysis,
    left_out,
    popular_poses,
    system_metrics,
    top_users,
)
from posegen.metrics.compaction import Compacted, compact
from posegen.metrics.connection import connect
from posegen.metrics.queries import query
from posegen.metrics.reports import REPORTS, compare_runs, report

__all__ = [
    "REPORTS",
    "Compacted",
    "ErrorCount",
    "SystemMetrics",
    "compact",
    "compare_runs",
    "connect",
    "error_analysis",
    "left_out",
    "popular_poses",
    "query",
    "report",
    "system_metrics",
    "top_users",
]
