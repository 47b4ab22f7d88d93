import builtins
import importlib.util
import threading

import numpy as np
import pytest

from posegen.errors import ImageWithheldError, ParameterError
from posegen.moderation import images
from posegen.settings import IMAGE_SCREENING_THRESHOLD
from tests.moderation.bare_figure import bare_figure, clothed_figures

pytest.importorskip("nudenet", reason="the extra nsfw is not installed")


@pytest.fixture(scope="module")
def screen():
    return images.open_image_screen(IMAGE_SCREENING_THRESHOLD)


def test_a_figure_without_clothes_is_flagged_at_the_default_threshold(screen):
    with pytest.raises(
        ImageWithheldError, match=r"^withheld by image screening: buttocks exposed, score 0\.\d\d$"
    ) as flag:
        screen.check(bare_figure(), "some")
    error = flag.value
    assert (error.by, error.backend, error.code, error.label) == (
        "nudenet",
        "some",
        "IMAGE_WITHHELD",
        "BUTTOCKS_EXPOSED",
    )
    assert error.score is not None
    assert IMAGE_SCREENING_THRESHOLD <= error.score < 1


def test_clothed_figures_pass(screen):
    """A few; benchmarks/measure_image_screening.py looks at 768."""
    poses = ["standing_relaxed", "salsa_hip_sway", "yoga_downward_dog", "basketball_jump_shot"]
    for pixels in (*clothed_figures(poses), *clothed_figures(poses[1:3], 90)):
        screen.check(pixels)


def test_the_threshold_is_inclusive(monkeypatch):
    monkeypatch.setattr(images, "exposed", lambda _: {"BUTTOCKS_EXPOSED": 0.8, "ANUS_EXPOSED": 0.3})
    images.ImageScreen(0.81).check(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ImageWithheldError, match="buttocks"):
        images.ImageScreen(0.8).check(np.zeros((4, 4, 3), np.uint8))


def test_labels_that_do_not_count_do_not_count(monkeypatch):
    class Detector:
        def detect(self, pixels):
            return [
                {"class": "MALE_BREAST_EXPOSED", "score": 0.99},
                {"class": "BUTTOCKS_EXPOSED", "score": 0.5},
            ]

    monkeypatch.setattr(images, "load_detector", Detector)
    assert images.exposed(np.zeros((4, 4, 3), np.uint8)) == {"BUTTOCKS_EXPOSED": 0.5}


def test_the_detector_gets_rgb_also_of_a_mirrored_view(monkeypatch):
    seen = []

    class Detector:
        def detect(self, pixels):
            seen.append(pixels)
            return []

    monkeypatch.setattr(images, "load_detector", Detector)
    pixels = np.full((4, 4, 3), (1, 2, 3), np.uint8)
    images.exposed(pixels[:, ::-1])
    assert seen[0][0, 0].tolist() == [1, 2, 3]
    assert seen[0].flags.c_contiguous


def test_threads_share_one_detector_and_agree(screen):
    pixels = bare_figure()
    alone = images.exposed(pixels)
    scores: list[dict[str, float]] = []
    threads = [threading.Thread(target=lambda: scores.append(images.exposed(pixels))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [alone] * 4


def test_missing_packages_are_named_before_anything_starts(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ParameterError, match=r"nudenet and onnxruntime not installed: pip install 'posegen\[nsfw\]'"
    ):
        images.open_image_screen(0.8)


def test_packages_that_cannot_be_loaded_are_named(monkeypatch):
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "nudenet":
            raise ImportError("a library is missing")
        return real(name, *args, **kwargs)

    images._detector.cache_clear()
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ParameterError, match=r"POSEGEN_IMAGE_SCREENING.*a library is missing"):
        images.open_image_screen(0.8)
