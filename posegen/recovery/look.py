"""What each run needs: a look at its journal, its owner and its files that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from posegen.errors import BackendUnavailableError, InputError, PosegenError, RunNotFoundError
from posegen.journal import (
    ForeignWatch,
    RunState,
    journal_folder,
    list_segments,
    owner_status,
    read_run,
    run_ids,
)
from posegen.parameters import RecoveryParameters
from posegen.pipeline.attempt import check_backends, check_resumable
from posegen.pipeline.paying import accounts_of, needed_for
from posegen.pipeline.progress import duration
from posegen.pipeline.tables import html_table
from posegen.recovery.leftovers import Leftovers, leftovers
from posegen.settings import Settings, load_settings

Action = Literal["leave", "wait", "resume", "close", "clean", "delete images", "ask a person"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Found:
    """A run as recovery sees it.

    Attributes
    ----------
    owner : str
        As `journal.OwnerStatus.state`.
    quiet : timedelta
        Since its last journalled event; nothing if a clock was set back.
    action : str
        What shall be done.
    why : str
    """

    run_id: str
    status: str
    owner: str
    quiet: timedelta
    action: Action
    why: str

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "run": self.run_id,
            "status": self.status,
            "owner": self.owner,
            "quiet": duration(self.quiet.total_seconds()),
            "action": self.action,
            "why": self.why,
        }


class FoundRuns(list[Found]):
    """Runs as recovery sees them, shown as a table in a notebook."""

    def _repr_html_(self) -> str:
        return html_table([run.row() for run in self]) or "<p>no runs yet</p>"


class Observer:
    """Looks at runs.

    Parameters
    ----------
    parameters : RecoveryParameters
    settings : Settings
    now : callable
        Gives the time, with its zone.
    """

    def __init__(self, parameters: RecoveryParameters, settings: Settings, now: Clock = utc_now) -> None:
        self.parameters = parameters
        self.settings = settings
        self._now = now
        self._watch = ForeignWatch(settings.root)
        self._maps: dict[str, frozenset[str]] = {}

    def all(self) -> FoundRuns:
        """Return every run with what it needs."""
        known = run_ids(self.settings.root)
        return FoundRuns(self.look(run_id, known=known) for run_id in known)

    def look(self, run_id: str, *, ours: bool = False, known: Sequence[str] | None = None) -> Found:
        """Return what a run needs now.

        Parameters
        ----------
        run_id : str
        ours : bool
            Whether this process owns it.
        known : sequence of str, optional
            All runs, where they have just been listed.
        """
        owner, quiet = "none", timedelta(0)
        try:
            state = read_run(self.settings.root, run_id)
            if not ours:
                owner = owner_status(self.settings.root, run_id).state
            quiet = self._quiet(state)
            action, why = self._decide(state, owner, quiet, known)
        except (PosegenError, OSError) as exc:
            return Found(run_id, "unreadable", owner, quiet, "ask a person", f"it cannot be read: {exc}")
        return Found(run_id, state.status, owner, quiet, action, why)

    def left_by(self, state: RunState, known: Sequence[str] | None = None) -> Leftovers:
        """Return what a finished run leaves behind that can be made again or is of no use."""
        try:
            free = self._unwanted(maps_of(state), state.run_id, known)
        except PosegenError:  # a run that cannot be read may need any of them
            free = frozenset()
        return leftovers(self.settings, state, free, self._now())

    def _quiet(self, state: RunState) -> timedelta:
        """Return the time since the run's last event; of a run without one, since its journal was made."""
        if state.last_at:
            last = datetime.fromisoformat(state.last_at)
        else:
            newest = list_segments(journal_folder(self.settings.root, state.run_id))[-1]
            last = datetime.fromtimestamp(newest.path.stat().st_mtime, UTC)
        return max(self._now() - last, timedelta(0))

    def _decide(
        self, state: RunState, owner: str, quiet: timedelta, known: Sequence[str] | None
    ) -> tuple[Action, str]:
        if state.run_id in self.parameters.delete_images_of:
            if owner == "ours-alive" or state.status != "finished":
                return "wait", "its images are not deleted: it is not finished"
            return "delete images", "asked for by name"
        if owner == "ours-alive":
            return "leave", "its owner is alive"
        if state.status == "finished":
            if self._is_old(quiet) and self.left_by(state, known):
                return "clean", f"finished, and untouched for {quiet.days} days"
            return "leave", "finished"
        if state.closed:
            return "leave", f"closed: `posegen resume {state.run_id}` goes on with it"
        action, why = self._decide_unfinished(state, quiet)
        return self._unless_elsewhere(state, owner, action, why)

    def _decide_unfinished(self, state: RunState, quiet: timedelta) -> tuple[Action, str]:
        too_old = quiet > timedelta(hours=self.parameters.fail_after_hours)
        try:
            check_resumable(state)
            check_backends(state.pending, self.settings)
        except (InputError, BackendUnavailableError) as exc:
            return ("close" if too_old else "wait"), str(exc)
        if state.status == "waiting" and self.parameters.unknown in (None, "ask"):
            asked = f"`posegen resume {state.run_id} --unknown retry` or `fail`"
            why = f"{len(state.unknown)} images of unknown outcome: {asked}"
            return ("close" if too_old else "ask a person"), why
        if state.status == "refused":
            return self._decide_refused(state)
        return "resume", "cut off" if state.status == "unfinished" else state.status

    def _decide_refused(self, state: RunState) -> tuple[Action, str]:
        """Go on with a run that lacked credits once they are there."""
        needed = needed_for(self.settings, state)
        available = accounts_of(self.settings).balance(state.user or "")
        if needed > available:
            return "leave", f"{needed} credits are needed and user {state.user!r} has {available}"
        return "resume", "the credits that it lacked are there"

    def _unless_elsewhere(self, state: RunState, owner: str, action: Action, why: str) -> tuple[Action, str]:
        """Wait for a run whose owner is on another machine until it has been quiet for long enough."""
        if owner != "foreign":
            return action, why
        stall = timedelta(minutes=self.parameters.stall_after_minutes)
        quiet = timedelta(seconds=self._watch.quiet_s(state.run_id))
        if quiet < stall:
            seen = duration(quiet.total_seconds())
            rest = duration((stall - quiet).total_seconds())
            return "wait", f"its owner is on another machine: quiet for {seen} of watching, {rest} to go"
        return action, why

    def _is_old(self, quiet: timedelta) -> bool:
        return quiet > timedelta(days=self.parameters.clean_after_days)

    def _unwanted(self, maps: frozenset[str], run_id: str, known: Sequence[str] | None) -> frozenset[str]:
        """Return those of a run's control maps that no other run uses.

        Runs that are to be cleaned up themselves do not count.

        Raises
        ------
        PosegenError
            A run cannot be read, so that what it uses is not known.
        """
        others = run_ids(self.settings.root) if known is None else known
        for other in others:
            if not maps:
                break
            if other != run_id:
                maps -= self._wanted_by(other)
        return maps

    def _wanted_by(self, run_id: str) -> frozenset[str]:
        if run_id not in self._maps:  # once: a plan never changes
            state = read_run(self.settings.root, run_id)
            if not state.tasks:
                return frozenset()
            done = state.status == "finished" and self._is_old(self._quiet(state))
            self._maps[run_id] = frozenset() if done else maps_of(state)
        return self._maps[run_id]


def maps_of(state: RunState) -> frozenset[str]:
    """Return the SHA-256 of the control maps that a run's tasks use."""
    return frozenset(task.control_map_sha256 for task in state.tasks if task.control_map_sha256)


def find(
    parameters: RecoveryParameters, settings: Settings | None = None, now: datetime | None = None
) -> FoundRuns:
    """Return every run with what recovery would do to it.

    Changes nothing, but for a note of since when runs owned elsewhere have been seen to be quiet.

    Raises
    ------
    RunNotFoundError
        `delete_images_of` names a run that does not exist.
    """
    settings = settings or load_settings()
    check_names(parameters, settings)
    return Observer(parameters, settings, (lambda: now) if now else utc_now).all()


def found_runs(parameters: RecoveryParameters) -> FoundRuns:
    """Return `find`, for a notebook to show."""
    return find(parameters)


def check_names(parameters: RecoveryParameters, settings: Settings) -> None:
    """Refuse names of runs that do not exist.

    Raises
    ------
    RunNotFoundError
    """
    if not parameters.delete_images_of:
        return
    known = run_ids(settings.root)
    for name in parameters.delete_images_of:
        if name not in known:
            raise RunNotFoundError(name, known)
