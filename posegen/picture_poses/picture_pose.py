"""A pose that was taken from a picture: to look at, and to keep in a library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.backends.figure import draw
from posegen.controlnet.draw import control_keypoints, draw_map
from posegen.errors import PoseDataError, StorageError
from posegen.picture_poses.people import FoundPerson
from posegen.picture_poses.source import SourcePicture
from posegen.pipeline import control
from posegen.pipeline.steps import prepare
from posegen.pipeline.summary import Picture
from posegen.poses.fitting_3d import FittedBody, wrapped
from posegen.poses.library import Pose, library_text
from posegen.records import ImageTask, View
from posegen.storage.atomic import make_folders, storage_error, write_atomically

LOCK_S = 10.0
"""How long another process may be writing the same library."""

Pixels = NDArray[np.uint8]

TILE_PX = 512
ASIDE_DEG = 60.0
"""How far round the last picture of the preview has gone: a wrong depth shows there."""
DIMMED = 0.45


@dataclass(frozen=True, eq=False, repr=False)
class PicturePose:
    """A pose that was taken from a picture.

    Attributes
    ----------
    pose : Pose
        Faces the front, as the library's poses do.
    view : View
        In which it looks like the picture.
    person : FoundPerson
        Whose pose it is.
    people : tuple of FoundPerson
        Everybody in the picture, from left to right.
    fitted : FittedBody
        How well the angles fit: `error_deg` and `error`.
    source : SourcePicture
    notes : tuple of str
        What is uncertain.
    """

    pose: Pose
    view: View
    person: FoundPerson
    people: tuple[FoundPerson, ...]
    fitted: FittedBody
    source: SourcePicture
    notes: tuple[str, ...] = ()

    @property
    def keypoints(self) -> NDArray[np.float64]:
        """What was found, in the picture's pixels, shape (18, 3); see `FoundPerson.keypoints`."""
        return self.person.keypoints

    @property
    def depth_known(self) -> bool:
        """Whether the estimator knew depth; else how limbs stand out of the picture is a guess."""
        return self.fitted.error_deg is not None

    def facts(self) -> dict[str, Any]:
        """Return what was found, as one flat mapping of plain values."""
        provenance = dict(self.pose.provenance or {})
        return {
            "id": self.pose.id,
            "category": self.pose.category,
            "description": self.pose.description,
            "support": self.pose.support,
            "yaw": self.view.yaw,
            "people": [person.where() for person in self.people],
            "person": self.person.number,
            "keypoints_seen": self.person.seen,
            "depth": provenance["depth"],
            "fit_error_deg": provenance["fit_error_deg"],
            "fit_error_share": provenance["fit_error_share"],
            "notes": list(self.notes),
        }

    def control_map(self, width: int = 1024, height: int = 1024) -> Pixels:
        """Return the control map of the pose in its view, shape (height, width, 3)."""
        return control.control_map(self.pose, self.view, width, height)

    def control_map_over_picture(self, longest_side_px: int = 1024) -> Pixels:
        """Return the control map of the keypoints where they lie in the picture, in the picture's shape."""
        share = longest_side_px / max(self.source.width, self.source.height)
        return self._map(max(1, round(self.source.width * share)), max(1, round(self.source.height * share)))

    def _map(self, width: int, height: int) -> Pixels:
        points = self.keypoints.copy()
        points[:, :2] = (points[:, :2] + 0.5) * (width / self.source.width) - 0.5
        return draw_map(control_keypoints(points), width, height)

    def overlay(self) -> Pixels:
        """Return the picture, dimmed, with the skeleton that was found in it; shape (H, W, 3)."""
        height, width = self.source.pixels.shape[:2]
        drawn = self._map(width, height)
        dimmed = (self.source.pixels * DIMMED).astype(np.uint8)
        return np.where(drawn.any(axis=2, keepdims=True), drawn, dimmed)

    def render(self, yaw: float | None = None, width: int = 768, height: int = 768) -> Pixels:
        """Return the pose as the embedded renderer draws it, from its own view or from another yaw."""
        task = ImageTask(
            task_id="0" * 32,
            index=0,
            backend="figure",
            user_prompt="",
            prompt="",
            seed=1,
            width=width,
            height=height,
            conditioning="control",
            pose=self.pose.content(),
            view=self.view if yaw is None else View(wrapped(yaw)),
        )
        return draw(prepare(task)).pixels

    @cached_property
    def preview_pixels(self) -> Pixels:
        """What `preview` shows, shape (512, W, 3)."""
        tiles = [
            self.overlay(),
            self.control_map(TILE_PX, TILE_PX),
            self.render(None, TILE_PX, TILE_PX),
            self.render(self.view.yaw + ASIDE_DEG, TILE_PX, TILE_PX),
        ]
        return np.concatenate([_as_high(tile, TILE_PX) for tile in tiles], axis=1)

    def preview(self) -> Picture:
        """Return, side by side: the picture with its skeleton, control map, render, render from aside."""
        return Picture(self.preview_pixels)

    def _repr_jpeg_(self) -> bytes:
        return self.preview()._repr_jpeg_()

    def __repr__(self) -> str:
        """Name the pose, its view and how well it fits."""
        error = (
            "depth a guess" if self.fitted.error_deg is None else f"{self.fitted.error_deg:.0f} degrees off"
        )
        return f"<PicturePose {self.pose.id}: yaw {self.view.yaw:g}, {error}>"

    def save(self, library_file: str | Path, *, replace: bool = False) -> Path:
        """Add the pose to a library file of one's own, which is made if there is none; return its path.

        The file is whole at every moment, and two processes that add to it at once lose nothing.

        Raises
        ------
        PoseDataError
            The file is malformed, of another category or has the id already.
        StorageError
            It cannot be written.
        """
        from filelock import FileLock, Timeout

        path = Path(library_file)
        if path.is_dir():
            raise PoseDataError("is a folder; name a file in it", file=str(path), pose=self.pose.id)
        try:
            make_folders(path.parent)
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_S):
                text = path.read_text(encoding="utf-8") if path.exists() else None
                added = library_text(text, self.pose, file=str(path), replace=replace)
                write_atomically(path, added.encode())
        except Timeout as exc:
            raise StorageError(f"{path}: another process has been writing it for {LOCK_S:g} s") from exc
        except UnicodeDecodeError as exc:
            raise PoseDataError(f"is not UTF-8: {exc}", file=str(path)) from exc
        except OSError as exc:
            raise storage_error(exc, "write", path) from exc
        return path


def _as_high(pixels: Pixels, height: int) -> Pixels:
    width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
