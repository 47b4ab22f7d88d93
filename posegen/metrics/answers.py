"""The four answers: how the system does, who uses it, which poses are wanted, what breaks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from posegen.errors import ParameterError
from posegen.metrics.queries import Moment, beginning, end, query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class ErrorCount(msgspec.Struct, frozen=True):
    """An error code, and how many images failed for good with it."""

    code: str
    count: int


class SystemMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How the system did in a range of time.

    A generation is a run that has ended. It is successful if all of its images were made, and failed if it
    made nothing, an image failed for good, it was given up or it could not be paid. A run that is being made,
    was interrupted or waits for a person is no generation yet; its images count as poses all the same.

    Attributes
    ----------
    total_generations, successful_generations, failed_generations : int
        `total` is the sum of the other two.
    success_rate_percent : float or None
        Successful of total, two decimals; None without a generation.
    average_duration_ms : int or None
        Mean time worked on a generation: from the first to the last event of its attempts at the images,
        without the pauses between attempts and without later exports and measurements.
    total_poses_generated : int
        Images that were made; tries that the quality gate rejected do not count.
    credits_used : int
        Charged when holds were settled: net, without what was refunded.
    credits_refunded : int
        Given back for images that failed for good. What a hold had left over when a run was given up is
        neither used nor refunded.
    refund_rate_percent : float or None
        Refunded of used, two decimals; None if nothing was used.
    top_errors : tuple of ErrorCount
        Codes of the images that failed for good, the most frequent first.
    """

    total_generations: int
    successful_generations: int
    failed_generations: int
    success_rate_percent: float | None
    average_duration_ms: int | None
    total_poses_generated: int
    credits_used: int
    credits_refunded: int
    refund_rate_percent: float | None
    top_errors: tuple[ErrorCount, ...]


def system_metrics(
    connection: DuckDBPyConnection,
    *,
    since: Moment = None,
    until: Moment = None,
    user: str | None = None,
    limit: int = 10,
) -> SystemMetrics:
    """Return how the system did over the runs that started in a range.

    Everything a run did counts where the run began, also its credits, so that figures of the same range fit
    together.

    Parameters
    ----------
    connection : DuckDBPyConnection
        From `connect`.
    since, until : date, datetime, str or None
        UTC. A day given as `until` belongs to the range whole; a moment does not. None leaves a side open.
    user : str, optional
        Only this user's runs.
    limit : int
        How many error codes.

    Raises
    ------
    ParameterError
        A text that is no date, or a limit below 1.
    """
    chosen = _chosen(since, until, user, limit)
    (row,) = query(connection, "system", **chosen)
    errors = tuple(ErrorCount(**one) for one in query(connection, "top_errors", **chosen))
    return SystemMetrics(**row, top_errors=errors)


def top_users(
    connection: DuckDBPyConnection,
    *,
    since: Moment = None,
    until: Moment = None,
    user: str | None = None,
    limit: int = 10,
) -> list[dict[str, Any]]:
    """Return users by their number of generations, the busiest first.

    Parameters are those of `system_metrics`; so are the meanings of generations, poses and credits.

    Returns
    -------
    list of dict
        `user` (None for runs that name nobody), `generations`, `successful`, `failed`, `poses`,
        `credits_used`, `credits_refunded`, `last_started_at`. Ties: more poses first, then by name.
    """
    return query(connection, "users", **_chosen(since, until, user, limit))


def popular_poses(
    connection: DuckDBPyConnection,
    *,
    since: Moment = None,
    until: Moment = None,
    user: str | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Return poses by how many images of them were asked for, the most wanted first.

    Parameters are those of `system_metrics`. Images from text alone have no pose and are left out.

    Returns
    -------
    list of dict
        `pose_id`, `pose_name` and `category` (None for a pose that is not in the built-in library), `images`
        (asked for, in any view, also of runs that have not ended), `generations` (runs that asked for it),
        `made`, `failed`, `mean_oks` (of those measured, three decimals, or None). Ties: by id.
    """
    return query(connection, "poses", **_chosen(since, until, user, limit))


def error_analysis(
    connection: DuckDBPyConnection,
    *,
    since: Moment = None,
    until: Moment = None,
    user: str | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Return what failed, by kind and code, the most frequent first, with what was given back for it.

    Parameters are those of `system_metrics`; the range is that of the runs' beginnings.

    Returns
    -------
    list of dict
        `kind` ("generate", "withheld", "export" or "measure"), `code`, `failed` (for good), `recovered`
        (failures after which the same was made or tried again), `generations` (runs that it came up in),
        `share_percent` (of everything that failed for good), `credits_refunded` (the ledger's refunds of
        these images), `first_at`, `last_at` (UTC), `last_message`. Ties: by kind and code.
    """
    return query(connection, "errors", **_chosen(since, until, user, limit))


def left_out(connection: DuckDBPyConnection) -> dict[str, int]:
    """Return what no figure holds: how many runs cannot be read, and how many lines do not count.

    Returns
    -------
    dict
        `unreadable_runs`, `torn_lines` (of runs that have ended; one that is written may have one at any
        moment), `fenced_lines`, `unknown_events`, `foreign_lines`; all 0 if nothing is wrong.
    """
    return query(connection, "left_out")[0]


def _chosen(
    since: Moment, until: Moment, user: str | None, limit: int
) -> dict[str, datetime | str | int | None]:
    if limit < 1:
        raise ParameterError("limit", f"{limit} is not a whole number from 1")
    return {"since": beginning(since), "until": end(until), "user": user, "limit": limit}
