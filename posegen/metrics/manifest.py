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

from posegen.errors import StorageError
from posegen.journal import journal_folder, list_segments
from posegen.storage import atomic

SCHEMA = 1
FOLDER = "metrics"


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


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest.

    Attributes
    ----------
    files : dict of str to dict of str to str
        By month and table, the path of its Parquet file under `<root>/metrics`.
    runs : dict of str to Covered
        By run id.
    """

    schema: int = SCHEMA
    files: dict[str, dict[str, str]] = {}
    runs: dict[str, Covered] = {}

    def paths(self, root: Path, table: str) -> list[Path]:
        """Return a table's Parquet files, by month."""
        found = [tables.get(table) for _, tables in sorted(self.files.items())]
        return [root / FOLDER / name for name in found if name is not None]

    def covers(self, root: Path, run_id: str) -> bool:
        """Return whether all of the run's journal is in the Parquet files."""
        covered = self.runs.get(run_id)
        return covered is not None and unchanged(root, run_id, covered.extent)


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
    mtime_ns = _mtime_ns(folder)
    sizes = {file.name: _size(str(file.path)) for file in list_segments(folder)}
    return Extent({name: size for name, size in sizes.items() if size is not None}, mtime_ns)


def unchanged(root: Path, run_id: str, extent: Extent) -> bool:
    """Return whether a journal is as long as it was, or gone."""
    folder = journal_folder(root, run_id)
    if _mtime_ns(folder) != extent.folder_mtime_ns:
        now = {file.name: _size(str(file.path)) for file in list_segments(folder)}
        return not now or now == extent.segments
    prefix = f"{folder}{os.sep}"
    return all(_size(prefix + name) == size for name, size in extent.segments.items())


def _mtime_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (20,000 of these on every look; a Path costs as much again)
    except OSError:
        return None
