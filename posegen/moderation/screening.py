"""Both screens of a run, as the settings ask for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.moderation.images import ImageScreen, check_installed, open_image_screen
from posegen.moderation.prompts import PromptScreen, open_prompt_screen
from posegen.poses.library import PoseLibrary
from posegen.records import ImageTask
from posegen.settings import Settings


@dataclass(frozen=True)
class Moderation:
    """What a run's prompts and pictures have to pass; None where nothing is screened.

    Attributes
    ----------
    prompts : PromptScreen or None
    images : ImageScreen or None
    """

    prompts: PromptScreen | None = None
    images: ImageScreen | None = None

    def check_prompt(self, task: ImageTask) -> None:
        """Return if the task may be sent to a backend.

        Raises
        ------
        InappropriatePromptError
            Names the category.
        """
        if self.prompts is not None:
            self.prompts.check(*typed(task))

    def check_image(self, task: ImageTask, pixels: NDArray[np.uint8]) -> None:
        """Return if the picture may be kept. Takes some 60 ms: not for an event loop.

        Raises
        ------
        ImageWithheldError
            Names the label and the score.
        """
        if self.images is not None:
            self.images.check(pixels, task.backend)


def open_moderation(settings: Settings) -> Moderation:
    """Return the screens that the settings ask for, ready: what they lack shows here.

    Raises
    ------
    ParameterError
        The file of further terms is wrong, or the detector's packages are missing.
    """
    return Moderation(
        prompts=open_prompt_screen(settings.moderation_terms) if settings.moderation == "on" else None,
        images=None
        if settings.image_screening == "off"
        else open_image_screen(settings.image_screening_threshold),
    )


def typed(task: ImageTask) -> tuple[str, ...]:
    """Return the words that a user typed: not those of a pose that comes with posegen."""
    if task.pose_id is not None and task.pose_id not in PoseLibrary.builtin():
        return (task.prompt, task.user_prompt, task.avatar.extra or "")
    return (task.user_prompt, task.avatar.extra or "")


def refusals(tasks: Iterable[ImageTask], settings: Settings) -> tuple[str, ...]:
    """Return what a plan should say of its prompts, in sentences; nothing where all pass.

    Raises
    ------
    ParameterError
        As `open_moderation`, which loads more.
    """
    if settings.image_screening != "off":
        check_installed()
    if settings.moderation == "off":
        return ()
    screen = open_prompt_screen(settings.moderation_terms)
    findings = (screen.find_in(*typed(task)) for task in tasks)
    refused = Counter(finding.category for finding in findings if finding is not None)
    if not refused:
        return ()
    counts = ", ".join(f"{category} {count}" for category, count in refused.most_common())
    return (f"images whose prompts would be refused, and refunded: {refused.total()} ({counts})",)
