"""The journal beside its peers: durable lines a second, and the state of a run of 10,000 images.

Run by hand: `OMP_NUM_THREADS=1 python benchmarks/bench_journal.py`. Ratios count, not the times.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from posegen.journal import (
    AttemptFinished,
    ImageStored,
    Metric,
    RunPlanned,
    SegmentWriter,
    fold,
    read_segments,
)
from posegen.journal.events import encode_line
from posegen.records import ImageRecord, ImageTask


def task(number: int) -> ImageTask:
    return ImageTask(
        task_id=f"{number:032x}",
        index=number,
        backend="figure",
        user_prompt="a photo of a person",
        prompt="a photo of a person, standing upright with both arms raised, palms facing forward",
        seed=number * 7919,
        width=1024,
        height=1024,
        conditioning="control",
        pose_id="arms_up",
        control_map_sha256="0" * 64,
        renderer_version="1",
    )


def record(number: int) -> ImageRecord:
    return ImageRecord(
        task_id=f"{number:032x}",
        key=f"runs/20260301-120000-ab12/images/{number:032x}.png",
        thumbnail_key=f"runs/20260301-120000-ab12/thumbnails/{number:032x}.jpg",
        sha256=f"{number:064x}",
        size_bytes=123_456,
        thumbnail_bytes=20_000,
        width=1024,
        height=1024,
        duration_ms=512.25,
        conditioning="control",
        synthetic=True,
    )


def durable_lines(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Return durable lines a second, medians of rounds in turns."""
    line = encode_line(
        ImageStored(record=record(1), run_id="r", attempt=1, seq=1, at="2026-03-01T12:00:00.000Z")
    )
    works = {
        f"write+fsync ({len(line)} bytes)": plain(folder / "plain", line),
        "SQLite WAL FULL": sqlite(folder / "db", line),
        "SegmentWriter, waiting for each": journal(folder / "one", 1),
        "SegmentWriter, 8 threads": journal(folder / "eight", 8),
        "SegmentWriter, 64 threads": journal(folder / "many", 64),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work(count)
            rates[name].append(count / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in rates.items()}


def plain(path: Path, line: bytes) -> Callable[[int], None]:
    def work(count: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for _ in range(count):
            os.write(descriptor, line)
            os.fsync(descriptor)
        os.close(descriptor)

    return work


def sqlite(path: Path, line: bytes) -> Callable[[int], None]:
    def work(count: int) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, line BLOB)")
        for _ in range(count):
            connection.execute("INSERT INTO events (line) VALUES (?)", (line,))
        connection.close()

    return work


def journal(folder: Path, threads: int) -> Callable[[int], None]:
    event = ImageStored(record=record(1))

    def work(count: int) -> None:
        with SegmentWriter.open(folder, "r", kind="batch") as writer:

            def one() -> None:
                for _ in range(count // threads):
                    writer.append(event).result()

            workers = [threading.Thread(target=one) for _ in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

    return work


def write_run(folder: Path, images: int) -> None:
    with SegmentWriter.open(folder, "r", kind="batch") as writer:
        tasks = tuple(map(task, range(images)))
        writer.append(RunPlanned(spec={"seed": 7}, spec_hash="h", tasks=tasks))
        for number in range(images):
            writer.append(ImageStored(record=record(number)))
            writer.append(Metric(name="generate_ms", value=512.25, unit="ms", tags={"backend": "figure"}))
        writer.append(AttemptFinished(outcome="finished"))


def state_with_json(folder: Path) -> int:
    """Return the number of images by the standard library, line by line, into the plainest state."""
    state: dict[str, object] = {}
    tasks = []
    metrics = []
    with (folder / "0001.jsonl").open("rb") as file:
        for line in file:
            event = json.loads(line)
            if event["event"] == "image_stored":
                state[event["record"]["task_id"]] = event["record"]
            elif event["event"] == "run_planned":
                tasks = event["tasks"]
            elif event["event"] == "metric":
                metrics.append(event)
    assert len(tasks) == len(metrics) == len(state)
    return len(state)


def interleaved(repeats: int, **works: Callable[[], int]) -> dict[str, float]:
    """Return the median CPU milliseconds of each, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.process_time()
            work()
            times[name].append((time.process_time() - started) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--lines", type=int, default=1280, help="in each of the rounds")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--images", type=int, default=10_000)
    arguments.add_argument("--folder", type=Path, help="on the disk to measure")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        root = Path(name)
        rates = durable_lines(root, given.lines, given.rounds)
        for label, value in rates.items():
            print(f"{label:38} {value:10,.0f} lines/s  {value / rates['SQLite WAL FULL']:5.2f} x SQLite")
        folder = root / "run"
        write_run(folder, given.images)
        size = (folder / "0001.jsonl").stat().st_size
        times = interleaved(
            9,
            json=lambda: state_with_json(folder),
            posegen=lambda: fold(read_segments(folder)).made,
            decoding=lambda: len(read_segments(folder)),
        )
        print(f"state of {given.images:,} images ({size / 1e6:.1f} MB):")
        for label, value in times.items():
            print(f"{label:38} {value:10.1f} ms CPU  {value / times['json']:5.2f} x json line by line")


if __name__ == "__main__":
    main()
