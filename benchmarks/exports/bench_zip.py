"""Memory and time of a large ZIP: 1,000 poses in 12 formats, written by a process of its own.

The run's journal is made up; its 12,000 stored exports are hard links to one picture for each format, so that
they take no room and yet are read, hashed and zipped one by one.

    python benchmarks/exports/bench_zip.py [--poses 1000] [--folder /tmp]

Prints one line of JSON: the ZIP's size, seconds, and the child's peak resident memory before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from posegen.exports.formats import EXPORT_FORMATS
from posegen.images import encode_png
from posegen.journal import (
    AttemptFinished,
    ImageExported,
    ImageStored,
    RunPlanned,
    SegmentWriter,
    journal_folder,
)
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.records import ImageRecord
from posegen.storage import LocalStorage, export_key, image_key, thumbnail_key

RUN = "large"
LIMIT_MB = 300


def picture(width: int, height: int) -> bytes:
    """Return a JPEG with as many bytes as a photograph of that size has."""
    noise = (
        np.random.default_rng(0).normal(128, 28, (height // 4, width // 4, 3)).clip(0, 255).astype(np.uint8)
    )
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def link(root: Path, first: dict[str, Path], name: str, key: str) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(first[name], path)
    except OSError:  # as many links as the file system allows: another copy goes on
        shutil.copy(first[name], path)
        first[name] = path


def make_run(root: Path, poses: int) -> None:
    """Journal a finished run of so many images, all exported."""
    per_pose = -(-poses // 64)
    values = {"poses": "all", "images_per_pose": per_pose, "run_id": RUN, "exports": list(EXPORT_FORMATS)}
    plan = build_plan(check(BatchParameters, values))
    tasks = plan.tasks[:poses]
    storage = LocalStorage(root)
    source = storage.put(
        "runs/one.png", encode_png(np.zeros((64, 64, 3), np.uint8)), content_type="image/png"
    )
    first, files = {}, {}
    for name, one in EXPORT_FORMATS.items():
        data = picture(one.width, one.height)
        first[name] = root / f"{name}.jpg"
        first[name].write_bytes(data)
        files[name] = (hashlib.sha256(data).hexdigest(), len(data))
    with SegmentWriter.open(journal_folder(root, RUN), RUN, kind="batch") as writer:
        writer.append(RunPlanned(spec=plan.spec, spec_hash=plan.spec_hash, tasks=tasks))
        for task in tasks:
            record = ImageRecord(
                task_id=task.task_id, key=image_key(RUN, task.task_id), sha256=source.sha256,
                thumbnail_key=thumbnail_key(RUN, task.task_id), size_bytes=source.size, thumbnail_bytes=1,
                width=64, height=64, duration_ms=1.0, conditioning="control",
            )  # fmt: skip
            writer.append(ImageStored(record=record), durable=False)
            for name, one in EXPORT_FORMATS.items():
                key = export_key(RUN, name, task.task_id, one.extension)
                link(root, first, name, key)
                sha256, size = files[name]
                exported = ImageExported(
                    task_id=task.task_id, format=name, key=key, sha256=sha256, size_bytes=size, quality=90,
                    width=one.width, height=one.height, rule=one.rule, source_sha256=source.sha256,
                )  # fmt: skip
                writer.append(exported, durable=False)
        writer.append(AttemptFinished(outcome="finished")).result()


def peak_mb() -> float:
    """Return this process's peak; not getrusage's, which a child has from its parent."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def child() -> None:
    """Zip the run as `posegen export RUN --zip` does."""
    from posegen.pipeline.export_run import export_run

    imported = peak_mb()
    started = time.monotonic()
    report = export_run(RUN, zip_file=True)
    assert report.archive is not None
    facts = {
        "pictures": report.archive.pictures, "made": report.made, "left_out": len(report.left_out),
        "gigabytes": round(report.archive.size_bytes / 1e9, 2),
        "seconds": round(time.monotonic() - started, 1),
        "imported_mb": round(imported), "peak_mb": round(peak_mb()), "path": str(report.archive.path),
    }  # fmt: skip
    print(json.dumps(facts))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--poses", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None, help="where there is room for the ZIP")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child()
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder)
        make_run(root, given.poses)
        command = [sys.executable, __file__, "--child"]
        env = {**os.environ, "STORAGE_LOCAL_PATH": folder}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        facts = json.loads(done.stdout.splitlines()[-1])
        path = facts.pop("path")
        with zipfile.ZipFile(path) as archive:
            facts["entries"] = len(archive.infolist())
            facts["manifest_mb"] = round(archive.getinfo("manifest.json").file_size / 1e6, 1)
        unzip = shutil.which("unzip")
        if unzip is not None:
            subprocess.run([unzip, "-tqq", path], check=True)
            facts["unzip"] = "nothing wrong"
    print(json.dumps(facts))
    assert facts["pictures"] == given.poses * len(EXPORT_FORMATS)
    assert facts["peak_mb"] < LIMIT_MB, f"more than {LIMIT_MB} MB resident"


if __name__ == "__main__":
    main()
