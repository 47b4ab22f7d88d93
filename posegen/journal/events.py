"""What a journal's lines say: one frozen struct per event, one JSON object per line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from posegen.records import ImageRecord, ImageTask, Measurement

SCHEMA = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", gc=False):
    """What all events carry; the writer fills it in.

    Attributes
    ----------
    schema : int
        Version of the events' form.
    run_id : str
    attempt : int
        The number of the segment the line is in, from 1.
    seq : int
        Place of the line in its segment, from 0.
    at : str
        UTC, ISO 8601 with milliseconds and Z.
    """

    schema: int = SCHEMA
    run_id: str = ""
    attempt: int = 0
    seq: int = -1
    at: str = ""


class Owner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The process that writes a segment: enough to tell whether it is alive.

    Attributes
    ----------
    pid : int
    host : str
    process_started_at : float
        Seconds since the epoch: tells a process from a later one with the same pid.
    boot_id : str or None
        Changes when the machine restarts.
    """

    pid: int
    host: str
    process_started_at: float
    boot_id: str | None = None


class AttemptStarted(Event, frozen=True, kw_only=True, tag="attempt_started"):
    """Somebody began to add to the run; the first line of every segment.

    Attributes
    ----------
    kind : str
        What the attempt is for: "batch", "resume", "export" ...
    owner : Owner
    lengths : dict of str to int
        The fence: accepted bytes of every earlier segment, by file name.
    posegen_version : str
    """

    kind: str
    owner: Owner
    lengths: dict[str, int] = {}
    posegen_version: str = ""


class RunPlanned(Event, frozen=True, kw_only=True, tag="run_planned"):
    """The whole plan. A resume follows it, not today's code.

    Attributes
    ----------
    spec : dict
        What was asked for.
    spec_hash : str
    tasks : tuple of ImageTask
    """

    spec: dict[str, Any]
    spec_hash: str
    tasks: tuple[ImageTask, ...]
    project: str | None = None
    user: str | None = None


class CreditsHeld(Event, frozen=True, kw_only=True, tag="credits_held"):
    """Credits for the run are on hold in the user's account.

    Attributes
    ----------
    key : str
        The hold's idempotency key.
    images : int
        How many images it is for.
    """

    user: str
    amount: int
    key: str
    images: int = 0


class TaskUnknown(Event, frozen=True, kw_only=True, tag="task_unknown"):
    """Whether a provider made (and charged) this image cannot be found out: it waits for a person's word."""

    task_id: str
    reason: str
    request_id: str | None = None


class TaskSubmitted(Event, frozen=True, kw_only=True, tag="task_submitted"):
    """A provider took the task; journalled before its result is waited for."""

    task_id: str
    request_id: str
    provider: str | None = None


class TaskWithdrawn(Event, frozen=True, kw_only=True, tag="task_withdrawn"):
    """The provider did not take a request that was journalled: it refused, or was never reached."""

    task_id: str
    reason: str = ""


class ImageStored(Event, frozen=True, kw_only=True, tag="image_stored"):
    """An image was made and is durable in storage."""

    record: ImageRecord


class ImageAdopted(Event, frozen=True, kw_only=True, tag="image_adopted"):
    """An image that an earlier attempt stored, and was killed before journalling, was found."""

    record: ImageRecord


class ImageMeasured(Event, frozen=True, kw_only=True, tag="image_measured"):
    """How well a stored image shows its pose was measured."""

    task_id: str
    measurement: Measurement


class MeasureFailed(Event, frozen=True, kw_only=True, tag="measure_failed"):
    """An image could not be measured; it is there all the same.

    Attributes
    ----------
    code : str
        Stable, upper case.
    message : str
        One sentence for people.
    """

    task_id: str
    code: str
    message: str


class CandidateRejected(Event, frozen=True, kw_only=True, tag="candidate_rejected"):
    """A try for an image was made, is durable, and lies below the bar: another is made.

    If none reaches the bar, the best of them becomes the image all the same.

    Attributes
    ----------
    task_id : str
        The image's, whichever candidate this is.
    record : ImageRecord
        Of this candidate.
    measurement : Measurement
    min_oks : float
        The bar.
    """

    task_id: str
    record: ImageRecord
    measurement: Measurement
    min_oks: float


class ImageExported(Event, frozen=True, kw_only=True, tag="image_exported"):
    """An image was cut and encoded for a platform, and is durable in storage.

    Attributes
    ----------
    task_id : str
        The image's.
    format : str
        Name of the export format.
    key : str
        Storage key.
    sha256 : str
        Of the stored bytes, hexadecimal.
    size_bytes, width, height : int
    rule : str
        `ExportFormat.rule` that it was made by; empty in journals from before it was kept.
    source_sha256 : str
        Of the image that it was made from; empty as `rule`.
    quality : int
        JPEG quality that it was encoded with, 0 where there is none.
    notes : tuple of str
        What a person should know: a lowered quality, a figure that could not be placed.
    """

    task_id: str
    format: str
    key: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    rule: str = ""
    source_sha256: str = ""
    quality: int = 0
    notes: tuple[str, ...] = ()


class ExportFailed(Event, frozen=True, kw_only=True, tag="export_failed"):
    """An export could not be made; its image is there all the same.

    Attributes
    ----------
    task_id, format : str
    code : str
        Stable, upper case.
    message : str
        One sentence for people.
    """

    task_id: str
    format: str
    code: str
    message: str


class TaskFailed(Event, frozen=True, kw_only=True, tag="task_failed"):
    """An image could not be made.

    Attributes
    ----------
    code : str
        Stable, upper case.
    message : str
        One sentence for people.
    refunded : int
        Credits given back.
    """

    task_id: str
    code: str
    message: str
    refunded: int = 0


class ImageWithheld(TaskFailed, frozen=True, kw_only=True, tag="image_withheld"):
    """An image was made, flagged and kept nowhere: a failure like any other, which says who flagged it.

    Attributes
    ----------
    by : str
        A provider's name or a detector's.
    label : str
        What it was flagged as; empty if that is not known.
    score : float or None
        The detector's confidence, from 0 to 1.
    """

    by: str = ""
    label: str = ""
    score: float | None = None


class Metric(Event, frozen=True, kw_only=True, tag="metric"):
    """A measured number; None stands for one that JSON cannot hold."""

    name: str
    value: float | None
    unit: str = ""
    tags: dict[str, str] = {}


class Interrupted(Event, frozen=True, kw_only=True, tag="interrupted"):
    """The attempt was told to stop."""

    reason: str


class AttemptFinished(Event, frozen=True, kw_only=True, tag="attempt_finished"):
    """The attempt ended in an orderly way.

    Attributes
    ----------
    outcome : str
        "finished" (nothing is left to make), "interrupted", "waiting" (for a person's word on tasks of
        unknown outcome), "refused" (not enough credits) or "closed" (given up by recovery; can be resumed).
    made, failed : int or None
        Images, by this attempt.
    duration_ms : float or None
    """

    outcome: str
    made: int | None = None
    failed: int | None = None
    duration_ms: float | None = None


AnyEvent = (
    AttemptStarted
    | RunPlanned
    | CreditsHeld
    | TaskUnknown
    | TaskSubmitted
    | TaskWithdrawn
    | ImageStored
    | ImageAdopted
    | ImageMeasured
    | MeasureFailed
    | CandidateRejected
    | ImageExported
    | ExportFailed
    | TaskFailed
    | ImageWithheld
    | Metric
    | Interrupted
    | AttemptFinished
)

decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
"""Reads lines; fields it does not know are skipped."""

_encoder = msgspec.json.Encoder()


def encode_line(event: Event) -> bytes:
    """Return the event as one line that can be read back.

    Raises
    ------
    ValueError
        It holds what JSON cannot: a lone surrogate, or NaN where a number must be.
    """
    try:
        line = _encoder.encode(event)
        decoder.decode(line)  # a line that cannot be read back must not be acknowledged
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ValueError(f"this event cannot be journalled ({exc}): {event!r:.300}") from exc
    return line + b"\n"


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as events carry it.

    >>> timestamp(datetime(2026, 3, 1, 12, 0, 0, 123456, UTC))
    '2026-03-01T12:00:00.123Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
