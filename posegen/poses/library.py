"""The pose library: built-in poses and a user's own beside them.

A library file is JSON: ``{"category": "standing", "poses": [...]}``, entries as `pose.read_pose` takes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from posegen.errors import PoseDataError, UnknownNameError
from posegen.poses.pose import CATEGORIES, Pose, read_pose
from posegen.poses.search import search

__all__ = ["CATEGORIES", "Pose", "PoseLibrary"]


class PoseLibrary:
    """Poses by id, category and words, in a fixed order: by category, then as their files have them.

    Parameters
    ----------
    poses : iterable of Pose

    Raises
    ------
    PoseDataError
        Two poses have the same id.
    """

    def __init__(self, poses: Iterable[Pose]) -> None:
        order = {category: i for i, category in enumerate(CATEGORIES)}
        self._poses: dict[str, Pose] = {}
        for pose in sorted(poses, key=lambda pose: order.get(pose.category, len(order))):
            if pose.id in self._poses:
                raise PoseDataError("this id is used twice; ids must differ", pose=pose.id, field="id")
            self._poses[pose.id] = pose

    @classmethod
    def builtin(cls) -> PoseLibrary:
        """Return the library that comes with posegen; read once, then kept."""
        return _builtin()

    @classmethod
    def load(cls, path: str | Path) -> PoseLibrary:
        """Return the built-in library with a user's file beside it; see `with_file`."""
        return cls.builtin().with_file(path)

    def with_file(self, path: str | Path) -> PoseLibrary:
        """Return this library and the poses of a file, or of every ``*.json`` of a folder.

        Raises
        ------
        PoseDataError
            A file cannot be read or is malformed, or an id is taken: names file, pose, field and value.
        """
        path = Path(path)
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise PoseDataError("this folder holds no *.json file", file=str(path))
        added: dict[str, Pose] = {}
        for file in files:
            for pose in _read_file(_read_text(file), str(file)):
                if pose.id in self._poses or pose.id in added:
                    owner = "the library" if pose.id in self._poses else "another of these poses"
                    raise PoseDataError(
                        f"{owner} already has this id; choose another",
                        file=str(file),
                        pose=pose.id,
                        field="id",
                    )
                added[pose.id] = pose
        return PoseLibrary([*self, *added.values()])

    def get(self, pose_id: str) -> Pose:
        """Return the pose of that id.

        Raises
        ------
        UnknownNameError
            No such pose; names the nearest ids.
        """
        try:
            return self._poses[pose_id]
        except KeyError:
            raise UnknownNameError("pose", pose_id, self._poses) from None

    def category(self, name: str) -> list[Pose]:
        """Return the poses of a category.

        Raises
        ------
        UnknownNameError
            No such category; names the nearest.
        """
        if name not in CATEGORIES:
            raise UnknownNameError("category", name, CATEGORIES)
        return [pose for pose in self if pose.category == name]

    def categories(self) -> list[str]:
        """Return the ids of the categories that have poses, in the library's order."""
        return list(dict.fromkeys(pose.category for pose in self))

    def search(self, text: str) -> list[Pose]:
        """Return the poses that match all words, best first; see `search.search`."""
        return search(list(self), text)

    def __iter__(self) -> Iterator[Pose]:
        return iter(self._poses.values())

    def __len__(self) -> int:
        return len(self._poses)

    def __contains__(self, pose_id: object) -> bool:
        return pose_id in self._poses


@lru_cache(maxsize=1)
def _builtin() -> PoseLibrary:
    folder = resources.files("posegen.poses") / "library"
    poses: list[Pose] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            poses += _read_file(entry.read_text(encoding="utf-8"), entry.name)
    return PoseLibrary(poses)


def category_of_file(path: str | Path) -> str | None:
    """Return the category of a library file; None if there is no such file.

    Raises
    ------
    PoseDataError
        The file cannot be read or is malformed.
    """
    path = Path(path)
    if not path.exists():
        return None
    text = _read_text(path)
    _read_file(text, str(path))
    return str(json.loads(text)["category"])


def library_text(text: str | None, pose: Pose, *, file: str = "", replace: bool = False) -> str:
    """Return the text of a library file with a pose added to it; its other poses stay as they are written.

    Parameters
    ----------
    text : str or None
        What the file holds; None for a new one.
    pose : Pose
    file : str
        Named in errors.
    replace : bool
        A pose of that id may be replaced.

    Raises
    ------
    PoseDataError
        The file is malformed, holds another category, or has the id already (and so may the built-in library,
        whose poses are not replaced); or the pose is none that a library would take.
    """

    def refused(problem: str, field: str) -> PoseDataError:
        return PoseDataError(problem, file=file, pose=pose.id, field=field)

    entry = pose.entry()
    read_pose(entry, pose.category, file=file)
    present = [] if text is None else [each.id for each in _read_file(text, file)]
    document: dict[str, Any] = {"category": pose.category, "poses": []}
    if text is not None:
        document = json.loads(text)
    if document["category"] != pose.category:
        problem = (
            f"is {pose.category!r}; this file is of {document['category']!r}, and a file has one category"
        )
        raise refused(problem, "category")
    if pose.id in PoseLibrary.builtin():
        raise refused("the built-in library has this id; choose another", "id")
    if pose.id in present and not replace:
        raise refused("this file has this id already; choose another, or replace it", "id")
    if pose.id in present:
        document["poses"][present.index(pose.id)] = entry
    else:
        document["poses"].append(entry)
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PoseDataError(f"cannot be read: {exc}", file=str(file)) from exc


def _read_file(text: str, file: str) -> list[Pose]:
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as exc:
        raise PoseDataError(f"is not JSON: {exc}", file=file) from exc
    if not isinstance(document, dict) or not isinstance(document.get("poses"), list):
        raise PoseDataError('must be a mapping with "category" and a list "poses"', file=file)
    if unknown := sorted(set(document) - {"category", "poses"}):
        raise PoseDataError(f'unknown key {unknown[0]!r}. Allowed: "category", "poses".', file=file)
    category = document.get("category")
    if not isinstance(category, str) or category not in CATEGORIES:
        known = UnknownNameError("category", category, CATEGORIES)
        raise PoseDataError(str(known), file=file, field="category")
    return [read_pose(entry, category, file=file) for entry in document["poses"]]


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one mapping")
    return mapping
