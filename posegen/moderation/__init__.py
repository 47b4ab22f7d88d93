"""What must not be asked for, and what must not be shown."""

from posegen.moderation.images import ImageScreen
from posegen.moderation.prompts import Finding, PromptScreen, open_prompt_screen
from posegen.moderation.screening import Moderation, open_moderation, refusals

__all__ = [
    "Finding",
    "ImageScreen",
    "Moderation",
    "PromptScreen",
    "open_moderation",
    "open_prompt_screen",
    "refusals",
]
