"""The keys of objects: the layout under a storage's root."""

from __future__ import annotations

import re

# No dot at the start (hidden and temporary files) or at the end (Windows drops it).
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?")

MAX_KEY_LENGTH = 900
"""In characters; R2's limit is 1,024 bytes."""


def is_safe_name(name: str) -> bool:
    """Return whether `name` may be one part of a key: a file or folder name on every system."""
    return _NAME.fullmatch(name) is not None


def check_key(key: str) -> str:
    """Return `key`, or raise a ValueError that says what a key may be."""
    if len(key) > MAX_KEY_LENGTH or not all(map(is_safe_name, key.split("/"))):
        raise ValueError(
            f"not a storage key: {key!r}; a key is names joined by '/', each of letters, digits, '_', '-' "
            f"and '.' (not first or last), at most {MAX_KEY_LENGTH} characters in all"
        )
    return key


def run_key(run_id: str, *names: str) -> str:
    """Return the key of something that belongs to a run."""
    return check_key("/".join(("runs", run_id, *names)))


def image_key(run_id: str, task_id: str) -> str:
    """Return the key of a task's image."""
    return run_key(run_id, "images", f"{task_id}.png")


def original_key(run_id: str, task_id: str) -> str:
    """Return the key of a task's image as it was before a later step changed it."""
    return run_key(run_id, "originals", f"{task_id}.png")


def thumbnail_key(run_id: str, task_id: str) -> str:
    """Return the key of a task's thumbnail."""
    return run_key(run_id, "thumbnails", f"{task_id}.jpg")


def export_key(run_id: str, format_name: str, task_id: str, extension: str) -> str:
    """Return the key of a task's image in an export format; `extension` without its dot."""
    return run_key(run_id, "exports", format_name, f"{task_id}.{extension}")


def control_map_key(sha256: str) -> str:
    """Return the key of a cached control map."""
    return check_key(f"controlnet-cache/{sha256}.png")
