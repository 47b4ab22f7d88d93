"""What has been compacted: the files, and how far each run's journal is in them.

`<root>/metrics/manifest.json` is replaced atomically and is the only word on what counts: a Parquet file that
it does not list does not exist. A run is covered as long as its journal is, byte for byte in length, what it
was; a run whose journal grew (exports, measurements, a resume) is folded from the journal again. A run whose
journal is gone stays covered: that is what is left of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from posegen.errors import JournalError, StorageError
from posegen.journal import has_journal, journal_folder, list_segments, run_ids
from posegen.storage import atomic

SCHEMA = 1
FOLDER = "metrics"

LEDGER = "ledger"
"""What stands in a month's place for the accounts."""


class Extent(msgspec.Struct, frozen=True, gc=False):
    """How long a run's journal was, and when its folder last got or lost a segment.

    Attributes
    ----------
    segments : dict of str to int
        Bytes by file name.
    folder_mtime_ns : int
        Only a short cut: if it differs, the segments are listed.
    """

    segments: dict[str, int]
    folder_mtime_ns: int

    @property
    def total_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(self.segments.values())


class Covered(msgspec.Struct, frozen=True, gc=False):
    """A run that has been compacted: into which month, and its journal's extent then."""

    month: str
    extent: Extent


class LedgerMark(msgspec.Struct, frozen=True, gc=False):
    """The last entry of the accounts that has been compacted; a ledger that lacks it is another one."""

    entry_id: int
    user: str
    kind: str
    entered_at: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest.

    Attributes
    ----------
    files : dict of str to dict of str to str
        By month and table, the path of its Parquet file under `<root>/metrics`; the accounts are no month's.
    runs : dict of str to Covered
        By run id.
    ledger : LedgerMark or None
        How far the accounts are compacted.
    replaced : dict of str to float
        Paths of files that earlier manifests listed, with the time (seconds since the epoch) from which on
        none does.
    """

    schema: int = SCHEMA
    files: dict[str, dict[str, str]] = {}
    runs: dict[str, Covered] = {}
    ledger: LedgerMark | None = None
    replaced: dict[str, float] = {}

    def paths(self, root: Path, table: str) -> list[Path]:
        """Return a table's Parquet files, by month."""
        found = [tables.get(table) for _, tables in sorted(self.files.items())]
        return [root / FOLDER / name for name in found if name is not None]


def manifest_path(root: Path) -> Path:
    """Return where the manifest is."""
    return root / FOLDER / "manifest.json"


def read_manifest(root: Path) -> Manifest:
    """Return the manifest; an empty one if nothing has been compacted.

    Raises
    ------
    StorageError
        It cannot be read, is damaged or was written by a newer posegen.
    """
    path = manifest_path(root)
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as exc:
        raise atomic.storage_error(exc, "read", path) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise StorageError(
            f"{path} is damaged ({exc}); without it all runs are read from their journals: remove it, unless "
            "runs were removed since they were compacted"
        ) from exc
    if manifest.schema > SCHEMA:
        raise StorageError(
            f"{path} was written by a newer posegen (version {manifest.schema}; this one knows {SCHEMA})"
        )
    return manifest


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Replace the manifest, durably.

    Raises
    ------
    StorageFullError, StorageError
    """
    atomic.write_atomically(manifest_path(root), msgspec.json.encode(manifest))


def extent_of(root: Path, run_id: str) -> Extent:
    """Return how long a run's journal is now; what is written from now on is beyond it.

    Raises
    ------
    JournalError
        The folder cannot be read.
    """
    folder = journal_folder(root, run_id)
    mtime_ns = _mtime_ns(str(folder))
    sizes = {file.name: _size(str(file.path)) for file in list_segments(folder)}
    return Extent({name: size for name, size in sizes.items() if size is not None}, mtime_ns)


def uncovered_runs(root: Path, manifest: Manifest) -> list[str]:
    """Return the ids of the runs whose journals the Parquet files do not hold, or not all of.

    Raises
    ------
    JournalError
        The folder of runs cannot be listed.
    """
    try:
        names = sorted(os.listdir(root / "runs"))  # noqa: PTH208  (20,000 Paths are not needed)
    except OSError:
        return run_ids(root)  # none, or what is wrong in a sentence
    known = manifest.runs
    before, after = str(root / "runs"), journal_folder(root, "any").name
    return [
        name
        for name in names
        if not (name in known and unchanged(f"{before}{os.sep}{name}{os.sep}{after}", known[name].extent))
        and has_journal(root, name)
    ]


def unchanged(folder: str, extent: Extent) -> bool:
    """Return whether the journal in a folder is as long as it was, or gone."""
    prefix = f"{folder}{os.sep}"
    if _mtime_ns(prefix) == extent.folder_mtime_ns:  # the same segments, so that they need not be listed
        return all(_size(prefix + name) == size for name, size in extent.segments.items())
    try:
        now = {file.name: _size(prefix + file.name) for file in list_segments(Path(folder))}
    except JournalError:  # whoever reads it will say so
        return False
    return not now or now == extent.segments


def _mtime_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116  (as below)
    except OSError:
        return 0


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (20,000 of these on every look; a Path costs as much again)
    except OSError:
        return None
