"""The schema of `04_recovery.ipynb`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from posegen.parameters.checking import StrictModel
from posegen.parameters.pictures import DEFAULT_CONCURRENCY
from posegen.parameters.reading import MAX_DAYS, Names


class RecoveryParameters(StrictModel):
    """Parameters of `04_recovery.ipynb`."""

    stall_after_minutes: float = Field(default=30, gt=0, le=MAX_DAYS * 24 * 60)
    """a run whose owner is on another machine is taken over when its journal has not grown for so long"""
    fail_after_hours: float = Field(default=2, gt=0, le=MAX_DAYS * 24)
    """a run that cannot be gone on with is closed and refunded when nothing has happened for so long"""
    clean_after_days: float = Field(default=7, gt=0, le=MAX_DAYS)
    """temporary and cached files of a finished run are removed when it is so old"""
    unknown: Literal["retry", "ask", "fail"] | None = None
    """what to do with images of unknown outcome; None asks where images are paid for, retries where free"""
    delete_images_of: Names = []
    """finished runs, by name, whose images are deleted for good"""
    dry_run: bool = False
    """only say what would be done"""
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, ge=1, le=64)
    """images at the backend at once in a run that is gone on with"""
