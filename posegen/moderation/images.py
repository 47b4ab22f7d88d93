"""Image screening by NudeNet, an optional extra: its small detector runs on the CPU and needs no network."""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from posegen.errors import ImageWithheldError, ParameterError

DETECTOR = "nudenet"

WITHHELD = frozenset(
    {
        "ANUS_EXPOSED",
        "BUTTOCKS_EXPOSED",
        "FEMALE_BREAST_EXPOSED",
        "FEMALE_GENITALIA_EXPOSED",
        "MALE_GENITALIA_EXPOSED",
    }
)
"""NudeNet's labels that an image is withheld for; a bare male chest, a belly or feet are none."""

VARIABLE = "POSEGEN_IMAGE_SCREENING"


class Detector(Protocol):
    """What is used of `nudenet.NudeDetector`."""

    def detect(self, image_path: Any) -> list[dict[str, Any]]:
        """Return each thing found, with its `class` and `score`."""


@dataclass(frozen=True)
class ImageScreen:
    """Flags pictures that show nudity.

    Attributes
    ----------
    threshold : float
        Least confidence of a detection that counts, inclusive.
    """

    threshold: float

    def check(self, pixels: NDArray[np.uint8], backend: str = "") -> None:
        """Return if the picture may be shown.

        Parameters
        ----------
        pixels : uint8 array, shape (height, width, 3)
            sRGB.
        backend : str
            Who made it, for the error.

        Raises
        ------
        ImageWithheldError
            It is flagged; names the label and the score, and holds nothing of the picture.
        """
        scores = exposed(pixels)
        label = max(scores, key=lambda name: scores[name], default=None)
        if label is None or scores[label] < self.threshold:
            return
        raise ImageWithheldError(
            f"withheld by image screening: {label.lower().replace('_', ' ')}, score {scores[label]:.2f}",
            backend=backend,
            by=DETECTOR,
            label=label,
            score=round(scores[label], 4),
        )


def exposed(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the highest score, from 0.2 to 1, of each label in `WITHHELD` that the detector found.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width, 3)
        sRGB. NudeNet 3.4 hands the channels on as they come; as RGB half as many clothed figures are flagged
        as in the BGR of its examples, and as many unclothed ones.
    """
    scores: dict[str, float] = {}
    for found in load_detector().detect(np.ascontiguousarray(pixels)):
        label, score = found["class"], float(found["score"])
        if label in WITHHELD:
            scores[label] = max(score, scores.get(label, 0.0))
    return scores


def missing() -> list[str]:
    """Return what image screening lacks here, one sentence each; empty when usable."""
    absent = [name for name in ("nudenet", "onnxruntime") if importlib.util.find_spec(name) is None]
    return [f"{' and '.join(absent)} not installed: pip install 'posegen[nsfw]'"] if absent else []


def check_installed() -> None:
    """Return if image screening can be used here.

    Raises
    ------
    ParameterError
        Says what to install.
    """
    lacking = missing()
    if lacking:
        raise ParameterError(VARIABLE, f"{DETECTOR!r} is asked for; {lacking[0]}")


def open_image_screen(threshold: float) -> ImageScreen:
    """Return the screen with its model loaded, so that what is missing shows before anything starts.

    Raises
    ------
    ParameterError
        The packages are missing or cannot be loaded.
    """
    check_installed()
    try:
        load_detector()
    except Exception as exc:
        raise ParameterError(VARIABLE, f"{DETECTOR!r} cannot be loaded: {exc}") from exc
    return ImageScreen(threshold)


_loading = threading.Lock()


def load_detector() -> Detector:
    """Return the process's one detector: it holds no state between calls, so that threads may share it."""
    with _loading:
        return _detector()


@lru_cache(maxsize=1)
def _detector() -> Detector:
    from nudenet import NudeDetector

    detector: Detector = NudeDetector()
    return detector
