from typing import Any

import numpy as np
import pytest

from posegen.errors import ImageFailedError
from posegen.images import decode
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import open_run, start
from posegen.pipeline.sheet import RunSheet
from posegen.settings import Settings
from posegen.storage import LocalStorage
from tests.pipeline.conftest import PlainBackend


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 256, "height": 320, "poses": ["walking_stride"], "run_id": "r"}
    return build_plan(check(BatchParameters, {**given, "images_per_pose": 7, **values}))


def quiet(_: object) -> None:
    """Show nothing."""


@pytest.mark.parametrize("height", [256, 320])
def test_a_sheet_drawn_piece_by_piece_is_the_one_drawn_at_once(
    backend: PlainBackend, settings: Settings, height: int
) -> None:
    fail = iter([None, ImageFailedError("no", backend="plain", code="NO_LUCK"), *[None] * 5])
    backend.fail = lambda _: next(fail)
    summary = start(plan(height=height, concurrency=1), settings).wait(quiet)
    whole = summary.contact_sheet().image
    sheet = RunSheet(summary.state.tasks, LocalStorage(settings.root))
    records = dict(summary.records)
    first = dict([records.popitem(), records.popitem()])
    sheet.add(first)
    sheet.add({**first, **records})
    pixels = sheet.pixels(summary.state.failures, summary._title(), "")
    assert np.array_equal(pixels, np.asarray(whole))
    assert np.array_equal(decode(summary.contact_sheet_path.read_bytes()), pixels)


def test_a_sheet_shows_what_is_gone_as_such(backend: PlainBackend, settings: Settings) -> None:
    summary = start(plan(height=256), settings).wait(quiet)
    whole = np.asarray(summary.contact_sheet().image)
    for part in ("images", "thumbnails"):
        for path in (settings.root / "runs/r" / part).iterdir():
            path.unlink()
    assert not np.array_equal(np.asarray(open_run("r", settings).contact_sheet().image), whole)
    summary = start(plan(), settings.model_copy(update={"root": settings.root / "other"})).wait(quiet)
    for path in (settings.root / "other/runs/r/thumbnails").iterdir():
        path.unlink()  # the images are still there
    again = np.asarray(
        open_run("r", settings.model_copy(update={"root": settings.root / "other"})).contact_sheet().image
    )
    assert np.array_equal(again, np.asarray(summary.contact_sheet().image))
