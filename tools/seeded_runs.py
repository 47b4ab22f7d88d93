"""Runs that were never made: real journals and accounts of a workspace, the same for the same seed.

`reference_workspace` writes those whose figures are the reference's example: 1,247 runs, 1,198 of them
successful, 6,235 images, 45,320 ms a run on average, 187,050 credits used and 1,470 refunded, 32 and 17
images failed by code. Everything goes through the product's own writers, only the waiting for the disk is
left out.

    python tools/seeded_runs.py FOLDER
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from posegen.credits import ACCOUNTS_FILE, Accounts, database, open_accounts
from posegen.journal import (
    AttemptFinished,
    CandidateRejected,
    CreditsHeld,
    Event,
    ExportFailed,
    ImageExported,
    ImageMeasured,
    ImageStored,
    Interrupted,
    Owner,
    RunPlanned,
    SegmentWriter,
    TaskFailed,
    TaskSubmitted,
    journal_folder,
)
from posegen.poses.library import PoseLibrary
from posegen.records import ImageRecord, ImageTask, Measurement, View

CREDITS = 30
OWNER = Owner(pid=1, host="seeded", process_started_at=0.0, boot_id="seeded")
RETRIES, PROMPT = "FLUX_MAX_RETRIES_EXCEEDED", "INAPPROPRIATE_PROMPT"
USERS = ("ada", "ben", "chi", "dara", "eli", "fay", "gus", "hana", "ivo", "jun", "kai", "lea", "mo", "nia")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Hand:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


def _not_synced(_descriptor: int) -> None:
    return


@contextmanager
def not_waiting_for_the_disk() -> Iterator[None]:
    """Leave out every fsync: what is written here can be written again."""
    with (
        mock.patch.object(database, "SYNCHRONOUS", "OFF"),
        mock.patch.object(os, "fsync", _not_synced),
        mock.patch.object(os, "fdatasync", _not_synced, create=True),
    ):
        yield


@dataclass
class SeededRun:
    """What a run should look like.

    Attributes
    ----------
    failures : dict of int to str
        By place in the plan, the error code of an image that fails for good.
    rejected : frozenset of int
        By place, the images whose first try was below the bar.
    cut_after : int or None
        The first attempt is interrupted after so many images, and another goes on with it.
    """

    run_id: str
    user: str
    begin: datetime
    tasks: tuple[ImageTask, ...]
    duration_ms: int
    failures: dict[int, str] = field(default_factory=dict)
    rejected: frozenset[int] = frozenset()
    cut_after: int | None = None
    project: str | None = "catalogue"
    formats: tuple[str, ...] = ()
    measured: bool = True
    finished: bool = True


def task(number: int, pose_id: str | None, **changes: object) -> ImageTask:
    """Return an image task; `number` decides its id."""
    fields: dict[str, object] = {
        "task_id": f"{number:032x}", "index": 0, "backend": "fal", "user_prompt": "a person", "seed": number,
        "prompt": "a person standing", "width": 1024, "height": 1024, "conditioning": "control",
        "pose_id": pose_id, "model": "fal-ai/flux-general",
    }  # fmt: skip
    return ImageTask(**{**fields, **changes})  # type: ignore[arg-type]


class Scribe:
    """Writes runs into a workspace."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.clock = Hand()
        self.random = random.Random(seed)
        self.accounts: Accounts = open_accounts(
            root / ACCOUNTS_FILE, clock=self.clock, starting_grant=10_000_000
        )

    def write(self, run: SeededRun) -> None:
        """Write a run's journal and credits; its attempts take `duration_ms` together."""
        folder, price = journal_folder(self.root, run.run_id), CREDITS * len(run.tasks)
        parts = [(run.tasks, "batch")]
        if run.cut_after is not None:
            parts = [(run.tasks[: run.cut_after], "batch"), (run.tasks[run.cut_after :], "resume")]
        self.clock.now, left = run.begin, run.duration_ms
        for number, (tasks, kind) in enumerate(parts, start=1):
            last = number == len(parts)
            spent = left if last else run.duration_ms // len(parts)
            left -= spent
            ends = self.clock.now + timedelta(milliseconds=spent)
            with SegmentWriter.open(folder, run.run_id, kind=kind, owner=OWNER, clock=self.clock) as writer:
                if number == 1:
                    plan = RunPlanned(
                        spec={}, spec_hash="0", tasks=run.tasks, project=run.project, user=run.user
                    )
                    writer.append(plan, durable=False)
                    self.accounts.hold(run.user, price, run.run_id, attempt=1, images=len(run.tasks))
                    held = CreditsHeld(
                        user=run.user, amount=price, key=f"hold:{run.run_id}", images=len(run.tasks)
                    )
                    writer.append(held, durable=False)
                self._images(writer, run, tasks, spent)
                self.clock.now = ends
                if run.finished:
                    self._end(writer, run, number, last=last)
            self.clock.now += timedelta(minutes=5)

    def _images(
        self, writer: SegmentWriter, run: SeededRun, tasks: tuple[ImageTask, ...], spent: int
    ) -> None:
        step = timedelta(milliseconds=spent // (len(tasks) + 1))
        for one in tasks:
            self.clock.now += step
            for event in self._events(run, one, step.total_seconds() * 1000):
                writer.append(event, durable=False)

    def _events(self, run: SeededRun, one: ImageTask, spent_ms: float) -> Iterator[Event]:
        yield TaskSubmitted(task_id=one.task_id, request_id=f"request-{one.task_id[-6:]}", provider="fal")
        code = run.failures.get(one.index)
        if code is not None:
            why = "the prompt was refused" if code == PROMPT else "gave up after 5 tries"
            yield TaskFailed(task_id=one.task_id, code=code, message=why, refunded=CREDITS)
            return
        candidate = 0
        if one.index in run.rejected:
            record, low = self._record(run, one, 0, spent_ms), self._measurement(0.2, 0.6)
            yield CandidateRejected(task_id=one.task_id, record=record, measurement=low, min_oks=0.7)
            candidate = 1
        yield ImageStored(record=self._record(run, one, candidate, spent_ms))
        if run.measured:
            yield ImageMeasured(task_id=one.task_id, measurement=self._measurement(0.7, 0.99))
        for name in run.formats:
            yield self._export(run, one, name)

    def _export(self, run: SeededRun, one: ImageTask, name: str) -> Event:
        if self.random.random() < 0.01:
            return ExportFailed(task_id=one.task_id, format=name, code="FIGURE_TOO_LARGE", message="no room")
        return ImageExported(
            task_id=one.task_id, format=name, key=f"runs/{run.run_id}/exports/{name}/{one.task_id}.jpg",
            sha256="0" * 64, size_bytes=self.random.randint(150_000, 400_000), width=1080, height=1080,
            quality=90,
        )  # fmt: skip

    def _record(self, run: SeededRun, one: ImageTask, candidate: int, spent_ms: float) -> ImageRecord:
        generate = round(spent_ms * self.random.uniform(0.7, 0.9), 2)
        folder = f"runs/{run.run_id}"
        return ImageRecord(
            task_id=one.task_id, key=f"{folder}/images/{one.task_id}.png", sha256="0" * 64,
            thumbnail_key=f"{folder}/thumbnails/{one.task_id}.jpg", width=one.width, height=one.height,
            size_bytes=self.random.randint(400_000, 600_000),
            thumbnail_bytes=self.random.randint(20_000, 30_000),
            duration_ms=spent_ms, conditioning=one.conditioning, model=one.model, provider="fal",
            stage_ms={"generate": generate, "encode": 80.0, "thumbnail": 9.5, "store": 4.25},
            cost_usd=0.04, candidate=candidate,
        )  # fmt: skip

    def _measurement(self, low: float, high: float) -> Measurement:
        oks = round(self.random.uniform(low, high), 4)
        return Measurement(
            estimator="mediapipe", estimator_version="0.10.14", weights_sha256="0" * 64, people=1, oks=oks,
            pck_10=round(oks * 0.8, 4), pck_20=round(oks * 0.9, 4), counted=17, duration_ms=45.0,
            mean_error=round(0.1 - oks / 12, 4), angle_error_deg=round(30 * (1 - oks), 2),
        )  # fmt: skip

    def _end(self, writer: SegmentWriter, run: SeededRun, number: int, *, last: bool) -> None:
        if not last:
            writer.append(Interrupted(reason="SIGTERM"), durable=False)
            writer.append(AttemptFinished(outcome="interrupted"), durable=False)
            return
        writer.append(AttemptFinished(outcome="finished"), durable=False)
        for index in run.failures:
            self.accounts.refund(run.run_id, run.tasks[index].task_id, CREDITS, attempt=number)
        made = len(run.tasks) - len(run.failures)
        self.accounts.settle(run.run_id, attempt=number, charged=CREDITS * made)


def spread(total: int, parts: int, low: int, high: int, source: random.Random) -> list[int]:
    """Return whole numbers in [low, high] that add up to `total`."""
    found = [source.randint(low, high) for _ in range(parts)]
    while (left := total - sum(found)) != 0:
        at = source.randrange(parts)
        found[at] = max(low, min(high, found[at] + left))
    return found


def seeded_runs(
    *, seed: int, runs: int, images: int, mean_ms: int, failures: tuple[str, ...], days: int
) -> Iterator[SeededRun]:
    """Yield runs with these totals; one image each of so many runs fails, besides `images`."""
    source = random.Random(seed)
    poses = [pose.id for pose in PoseLibrary.builtin()]
    pose_weights = [1 / (place + 1) for place in range(len(poses))]
    user_weights = [1 / (place + 1) for place in range(len(USERS))]
    counts = spread(images, runs, 1, 9, source)
    durations = spread(mean_ms * runs, runs, 15_000, 75_640, source)
    codes = source.sample(failures, len(failures))
    broken = dict(zip(source.sample(range(runs), len(codes)), codes, strict=True))
    starts = sorted(source.randrange(days * 86_400) for _ in range(runs))
    number = 0
    for place, (count, duration, start) in enumerate(zip(counts, durations, starts, strict=True)):
        planned = count + (place in broken)
        chosen = source.choices(poses, pose_weights, k=planned)
        tasks = []
        for index, pose_id in enumerate(chosen):
            number += 1
            backend = source.choice(("fal", "huggingface", "comfyui"))
            said = "prompt" if backend == "huggingface" else "control"
            view = View(yaw=source.choice((0.0, 45.0, -45.0)))
            tasks.append(
                task(
                    number, pose_id, index=index, backend=backend, conditioning=said, view=view, model="flux"
                )
            )
        yield SeededRun(
            run_id=f"run-{place + 1:05d}",
            user=source.choices(USERS, user_weights)[0],
            begin=BEGIN + timedelta(seconds=start),
            tasks=tuple(tasks),
            duration_ms=duration,
            failures={source.randrange(planned): broken[place]} if place in broken else {},
            cut_after=planned // 2 if place % 25 == 7 and planned > 1 else None,
            rejected=frozenset(index for index in range(planned) if source.random() < 0.05),
            formats=("instagram_post", "tiktok") if place % 3 == 0 else (),
            measured=place % 4 != 0,
        )


def write_workspace(root: Path, runs: Iterator[SeededRun], seed: int = 7) -> None:
    """Write runs into an empty folder."""
    with not_waiting_for_the_disk():
        scribe = Scribe(root, seed)
        for run in runs:
            scribe.write(run)


def reference_workspace(root: Path) -> None:
    """Write the workspace whose figures are the reference's example."""
    failures = (RETRIES,) * 32 + (PROMPT,) * 17
    write_workspace(
        root, seeded_runs(seed=7, runs=1247, images=6235, mean_ms=45_320, failures=failures, days=90)
    )


if __name__ == "__main__":
    reference_workspace(Path(sys.argv[1]))
