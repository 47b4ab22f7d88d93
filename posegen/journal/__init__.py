"""What happened in a run: append-only segments of events, and the fold that reads them."""

from posegen.journal.events import (
    AnyEvent,
    AttemptFinished,
    AttemptStarted,
    CreditsHeld,
    Event,
    ExportFailed,
    ImageAdopted,
    ImageExported,
    ImageStored,
    ImageWithheld,
    Interrupted,
    Metric,
    Owner,
    RunPlanned,
    TaskFailed,
    TaskSubmitted,
    TaskUnknown,
    TaskWithdrawn,
)
from posegen.journal.lease import (
    STALL_AFTER_S,
    OwnerState,
    OwnerStatus,
    RunLease,
    owner_status,
    superseded,
)
from posegen.journal.owner import current_owner
from posegen.journal.quiet import ForeignWatch
from posegen.journal.runs import RunSummary, journal_folder, list_runs, read_run, run_exists, run_ids
from posegen.journal.segments import Segment, list_segments, read_segments
from posegen.journal.state import Attempt, RunState, RunStatus, fold
from posegen.journal.writer import SegmentWriter

__all__ = [
    "STALL_AFTER_S",
    "AnyEvent",
    "Attempt",
    "AttemptFinished",
    "AttemptStarted",
    "CreditsHeld",
    "Event",
    "ExportFailed",
    "ForeignWatch",
    "ImageAdopted",
    "ImageExported",
    "ImageStored",
    "ImageWithheld",
    "Interrupted",
    "Metric",
    "Owner",
    "OwnerState",
    "OwnerStatus",
    "RunLease",
    "RunPlanned",
    "RunState",
    "RunStatus",
    "RunSummary",
    "Segment",
    "SegmentWriter",
    "TaskFailed",
    "TaskSubmitted",
    "TaskUnknown",
    "TaskWithdrawn",
    "current_owner",
    "fold",
    "journal_folder",
    "list_runs",
    "list_segments",
    "owner_status",
    "read_run",
    "read_segments",
    "run_exists",
    "run_ids",
    "superseded",
]
