"""Every error posegen raises on purpose.

PosegenError
├── InputError                 what was asked for cannot be done as asked (exit code 2)
│   ├── ParameterError         a parameter's name, type or value is wrong
│   ├── UnknownNameError       a name (pose, category, backend, format ...) nobody knows
│   ├── PoseDataError          a pose library file is malformed or describes an impossible body
│   ├── PictureError           a picture that a pose is to be taken from cannot be used
│   │   └── NobodyFoundError   nobody is in it, as far as the estimator sees
│   ├── KeypointsFormatError   an OpenPose JSON document is malformed
│   ├── RunConflictError       the run id belongs to another spec
│   └── RunNotFoundError       no such run
├── StorageError               bytes could not be written or read (exit code 1)
│   ├── StorageFullError       the disk is full
│   ├── ObjectNotFoundError    no object has that key
│   └── ObjectExistsError      the key holds other bytes, which are not replaced
├── JournalError               the journal could not be written or read (exit code 1)
│   └── RunTakenOverError      another attempt has the run (exit code 6)
├── ImageDataError             bytes that should be a picture are not one, or not a safe one (exit code 1)
├── BackendError               an image could not be made; carries `code` and `backend`
│   ├── BackendUnavailableError  the backend lacks a package, a key, money or its server (exit code 2)
│   ├── ImageFailedError       the backend gave up on this image for good
│   ├── InappropriatePromptError  prompt screening refuses the words
│   ├── ImageWithheldError     the image was made and must not be shown: its provider or a screen flagged it
│   ├── OutcomeUnknownError    whether the provider made (and charged) the image cannot be found out
│   └── ResultGoneError        the provider no longer has the result that is asked for
├── EstimatorError             a picture's poses could not be estimated (exit code 1)
├── CreditsError               the accounts refuse an entry (exit code 1)
│   ├── InsufficientCreditsError  the user has fewer credits than it costs (exit code 7)
│   ├── UserLimitError         the user has asked for too many images within an hour (exit code 8)
│   └── CreditsConflictError   the idempotency key belongs to another entry
├── StaleAttemptError          a newer attempt has the run (exit code 6)
├── ImagesFailedError          some images of a finished run failed (exit code 3)
├── RecoveryFailedError        a recovery could not do all it should (exit code 1)
├── RunInterruptedError        the run was stopped and can be resumed (exit code 5)
├── NightOwnedError            the last night is still at work (exit code 6)
└── RunOwnedError              another process drives the run (exit code 6)

Every error keeps its facts as attributes and survives pickling.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar


class PosegenError(Exception):
    """Base of all errors raised on purpose."""

    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state, so that subclasses may take any arguments."""
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[PosegenError], args: tuple[object, ...], state: dict[str, object]) -> PosegenError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InputError(PosegenError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class ParameterError(InputError):
    """A parameter's name, type or value is wrong.

    Parameters
    ----------
    parameter : str
        The name as the user wrote it.
    problem : str
        One sentence: the value found and what is allowed.
    """

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter}: {problem}" if parameter else problem)
        self.parameter = parameter
        self.problem = problem


class UnknownNameError(InputError):
    """A name nobody knows; names the nearest right ones."""

    def __init__(self, kind: str, name: object, allowed: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.allowed = sorted(allowed)
        self.nearest = nearest_names(str(name), self.allowed)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        sentence = f"unknown {self.kind} {self.name!r}"
        if self.nearest:
            sentence += f"; did you mean {' or '.join(repr(n) for n in self.nearest)}?"
        else:
            sentence += "."
        if len(self.allowed) <= 40:
            sentence += f" Allowed: {', '.join(self.allowed) or 'none'}."
        else:
            sentence += f" There are {len(self.allowed)}; the first are {', '.join(self.allowed[:8])}."
        return sentence


class PoseDataError(InputError):
    """A pose library file is malformed or describes an impossible body.

    Parameters
    ----------
    problem : str
        One sentence: the value found and what is allowed.
    file, pose, field : str
        Where; empty if it does not apply.
    """

    def __init__(self, problem: str, *, file: str = "", pose: str = "", field: str = "") -> None:
        where = [file, f"pose {pose!r}" if pose else "", field]
        super().__init__(": ".join([part for part in where if part] + [problem]))
        self.problem = problem
        self.file = file
        self.pose = pose
        self.field = field


class PictureError(InputError):
    """A picture that a pose is to be taken from cannot be used.

    Parameters
    ----------
    problem : str
        One sentence: what was found and what is allowed.
    picture : str
        Its file, or "the picture".
    """

    def __init__(self, problem: str, *, picture: str) -> None:
        super().__init__(f"{picture}: {problem}")
        self.problem = problem
        self.picture = picture


class NobodyFoundError(PictureError):
    """Nobody is in the picture, as far as the estimator sees."""


class KeypointsFormatError(InputError):
    """An OpenPose JSON document is malformed."""


class RunConflictError(InputError):
    """The run id belongs to a run with another spec.

    Parameters
    ----------
    run_id : str
    differences : sequence of str
        One line per parameter that differs.
    """

    def __init__(self, run_id: str, differences: Sequence[str]) -> None:
        self.run_id = run_id
        self.differences = list(differences)
        super().__init__(
            f"run {run_id!r} exists with other parameters ({'; '.join(self.differences)}); "
            "choose another run_id, or repeat that run's own parameters to resume it"
        )


class RunNotFoundError(InputError):
    """No run of that id."""

    def __init__(self, run_id: str, known: Iterable[str]) -> None:
        self.run_id = run_id
        self.nearest = nearest_names(run_id, list(known))
        hint = f"; the nearest are {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"no run {run_id!r}{hint}; `posegen runs` lists them")


class StorageError(PosegenError):
    """Bytes could not be written or read."""


class StorageFullError(StorageError):
    """The disk is full."""


class ObjectNotFoundError(StorageError):
    """No object has that key."""

    def __init__(self, key: str, where: str) -> None:
        super().__init__(f"no object {key!r} in {where}")
        self.key = key


class ObjectExistsError(StorageError):
    """The key holds other bytes, which are not replaced.

    Parameters
    ----------
    key : str
    where : str
        The storage, in words.
    sha256 : str
        Of the bytes that are there.
    """

    def __init__(self, key: str, where: str, sha256: str) -> None:
        super().__init__(f"{key!r} in {where} exists with other bytes; images are never replaced")
        self.key = key
        self.sha256 = sha256


class JournalError(PosegenError):
    """The journal could not be written or read."""


class RunTakenOverError(JournalError):
    """Another attempt has the run: this one writes nothing more."""

    exit_code = 6


class ImageDataError(PosegenError):
    """Bytes that should be a picture are not one, or not one that is safe to decode."""


class BackendError(PosegenError):
    """An image could not be made.

    Parameters
    ----------
    message : str
        One sentence for the user, never with a secret in it.
    backend : str
    code : str
        Stable upper-case code, journalled with the failure.
    """

    def __init__(self, message: str, *, backend: str = "", code: str = "BACKEND_ERROR") -> None:
        super().__init__(message)
        self.backend = backend
        self.code = code


class BackendUnavailableError(BackendError):
    """The backend lacks a package, a key, money or its server: no image of a run could be made now."""

    exit_code = 2


class ImageFailedError(BackendError):
    """The backend gave up on this image for good."""


class InappropriatePromptError(BackendError):
    """Prompt screening refuses the words; the backend was not asked.

    Parameters
    ----------
    category : str
        "sexual", "minors", "violence" or "hate"; what was found is not for whoever wrote the prompt.
    """

    def __init__(self, category: str) -> None:
        super().__init__(f"the prompt was refused (category {category})", code="INAPPROPRIATE_PROMPT")
        self.category = category


class ImageWithheldError(BackendError):
    """The image was made and must not be shown: its provider, or a screen of ours, flagged it.

    Parameters
    ----------
    by : str
        Who flagged it: a provider's name or a detector's.
    label : str
        What it was flagged as, if that is known.
    score : float or None
        The detector's confidence, from 0 to 1, if there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        backend: str = "",
        by: str = "",
        code: str = "IMAGE_WITHHELD",
        label: str = "",
        score: float | None = None,
    ) -> None:
        super().__init__(message, backend=backend, code=code)
        self.by = by
        self.label = label
        self.score = score


class OutcomeUnknownError(BackendError):
    """It cannot be found out whether the provider made (and charged) the image; a person has to say.

    Parameters
    ----------
    message : str
    request_id : str or None
        Of the request that got lost, if there is one.
    """

    def __init__(
        self,
        message: str,
        request_id: str | None = None,
        *,
        backend: str = "",
        code: str = "OUTCOME_UNKNOWN",
    ) -> None:
        super().__init__(message, backend=backend, code=code)
        self.request_id = request_id


class ResultGoneError(BackendError):
    """The provider no longer has (or never had) the result that is asked for."""


class EstimatorError(PosegenError):
    """A pose estimator cannot be started, or gave up on a picture.

    Parameters
    ----------
    message : str
        One sentence.
    estimator : str
    died : bool
        Its process ended, or had to be ended: another may fare better.
    """

    def __init__(self, message: str, *, estimator: str = "", died: bool = False) -> None:
        super().__init__(message)
        self.estimator = estimator
        self.died = died


class CreditsError(PosegenError):
    """The accounts refuse an entry: it would not add up."""


class InsufficientCreditsError(CreditsError):
    """The user has fewer credits than it costs; nothing was taken."""

    exit_code = 7

    def __init__(self, user: str, *, needed: int, available: int) -> None:
        super().__init__(
            f"{needed} credits are needed and user {user!r} has {available}; "
            f"`posegen credits grant {user} {needed - available}` adds what is missing"
        )
        self.user = user
        self.needed = needed
        self.available = available


class UserLimitError(CreditsError):
    """The user has asked for too many images within an hour; nothing was started.

    Parameters
    ----------
    user : str
    images, per_hour, asked : int
        Asked for now, allowed within an hour, and asked for within the last one.
    free_at : datetime or None
        When so many are free; None if they are more than an hour may hold.
    """

    exit_code = 8

    def __init__(
        self, user: str, *, images: int, per_hour: int, asked: int, free_at: datetime | None
    ) -> None:
        when = (
            f"they are free at {free_at:%Y-%m-%d %H:%M:%S} UTC"
            if free_at is not None
            else f"at most {per_hour} can be asked for at once: divide it into several runs"
        )
        super().__init__(
            f"{images} images are asked for, and user {user!r} has asked for {asked} of {per_hour} within "
            f"the last hour; {when}"
        )
        self.user = user
        self.images = images
        self.per_hour = per_hour
        self.asked = asked
        self.free_at = free_at


class CreditsConflictError(CreditsError):
    """The idempotency key belongs to another entry.

    Parameters
    ----------
    key : str
    differences : mapping of str to (there, asked)
    """

    def __init__(self, key: str, differences: Mapping[str, tuple[object, object]]) -> None:
        self.key = key
        self.differences = dict(differences)
        what = "; ".join(f"{name} {there!r}, not {asked!r}" for name, (there, asked) in differences.items())
        super().__init__(f"the accounts have an entry with the key {key!r} already, with {what}")


class StaleAttemptError(PosegenError):
    """A newer attempt has the run: this one must stop and change nothing more."""

    exit_code = 6

    def __init__(self, run_id: str, *, attempt: int, newest: int) -> None:
        super().__init__(f"run {run_id}: attempt {attempt} is over, attempt {newest} has the run")
        self.run_id = run_id
        self.attempt = attempt
        self.newest = newest


class ImagesFailedError(PosegenError):
    """Some images of a finished run failed for good."""

    exit_code = 3

    def __init__(self, run_id: str, failed: int, planned: int) -> None:
        super().__init__(
            f"run {run_id}: {failed} of {planned} images failed; `posegen show {run_id}` says why"
        )
        self.run_id = run_id
        self.failed = failed
        self.planned = planned


class RecoveryFailedError(PosegenError):
    """A recovery could not do what some runs need.

    Parameters
    ----------
    run_ids : sequence of str
    """

    def __init__(self, run_ids: Sequence[str]) -> None:
        self.run_ids = list(run_ids)
        super().__init__(f"not all went well with {', '.join(self.run_ids)}; the recovery's report says why")


class RunInterruptedError(PosegenError):
    """The run was stopped and can be resumed."""

    exit_code = 5

    def __init__(self, run_id: str, done: int, planned: int, reason: str = "") -> None:
        super().__init__(
            f"run {run_id} was interrupted after {done} of {planned} images"
            f"{f' ({reason})' if reason else ''}; the same command with the same run_id goes on"
        )
        self.run_id = run_id
        self.done = done
        self.planned = planned
        self.reason = reason


class NightOwnedError(PosegenError):
    """Another `posegen nightly` of the same parameters file is still at work."""

    exit_code = 6

    def __init__(self, file: str) -> None:
        super().__init__(f"another posegen nightly of {file} is still at work")
        self.file = file


class RunOwnedError(PosegenError):
    """Another process drives the run, or may do so on a machine that cannot be seen from here.

    Parameters
    ----------
    run_id : str
    pid : int or None
        Of that process; None if it has only just begun and has not said yet.
    host : str
        Its machine; empty like `pid`.
    since : str
        When it began, UTC, ISO 8601, by its own machine's clock; empty if it is not known.
    quiet_s : float, optional
        For how long its journal has not grown, as far as this machine has watched; for an owner elsewhere.
    stall_after_s : float, optional
        How long it must not grow before the run may be claimed. Goes with `quiet_s`.
    """

    exit_code = 6

    def __init__(
        self,
        run_id: str,
        *,
        pid: int | None,
        host: str,
        since: str,
        quiet_s: float | None = None,
        stall_after_s: float | None = None,
    ) -> None:
        self.run_id = run_id
        self.pid = pid
        self.host = host
        self.since = since
        self.quiet_s = quiet_s
        self.stall_after_s = stall_after_s
        super().__init__(self._sentence())

    @property
    def claimable_in_s(self) -> float | None:
        """Seconds until the run may be claimed if nothing is added to it; None if its owner is alive here."""
        if self.quiet_s is None or self.stall_after_s is None:
            return None
        return max(0.0, self.stall_after_s - self.quiet_s)

    def _sentence(self) -> str:
        known = self.pid is not None
        who = f"process {self.pid} on {self.host}" if known else "another process that has only just begun"
        owned = f"run {self.run_id} is owned by {who}" + (f" since {self.since}" if self.since else "")
        if self.quiet_s is None or self.stall_after_s is None:
            return f"{owned}; `posegen stop {self.run_id}` stops it cleanly"
        return (
            f"{owned}. Whether that is alive cannot be seen from here: its journal has not grown for "
            f"{_span(self.quiet_s)} of watching. It can be claimed after {_span(self.stall_after_s)}, "
            f"in {_span(self.claimable_in_s or 0.0)} at the earliest"
        )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def nearest_names(name: str, allowed: Sequence[str], count: int = 3) -> list[str]:
    """Return up to `count` allowed names that look like `name`, best first."""
    by_lower = {candidate.lower(): candidate for candidate in allowed}
    matches = difflib.get_close_matches(name.lower(), list(by_lower), n=count, cutoff=0.6)
    return [by_lower[match] for match in matches]
