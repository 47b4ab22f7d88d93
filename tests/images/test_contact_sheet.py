from __future__ import annotations

import numpy as np
import pytest

from posegen.images import SheetItem, contact_sheet, contact_sheets

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (40, 60, 190)


def plain(colour: tuple[int, int, int], height: int = 100, width: int = 100) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))


def box_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Return (height, width) of the area of exactly that colour."""
    rows, columns = np.nonzero((sheet == colour).all(2))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_every_picture_is_whole_and_undistorted() -> None:
    items = [
        SheetItem(plain(RED, 100, 100)),
        SheetItem(plain(GREEN, 150, 100)),
        SheetItem(plain(BLUE, 50, 200)),
    ]
    sheet = contact_sheet(items, tile_px=200)
    assert sheet.dtype == np.uint8
    assert box_of(sheet, RED) == (200, 200)
    assert box_of(sheet, GREEN) == (200, 133)
    assert box_of(sheet, BLUE) == (50, 200)


def test_a_control_map_stands_beside_or_inset() -> None:
    items = [SheetItem(plain(RED), control_map=plain(GREEN))]
    beside = contact_sheet(items, tile_px=150)
    assert box_of(beside, RED) == box_of(beside, GREEN) == (150, 150)
    inset = contact_sheet(items, tile_px=150, control_maps="inset")
    assert box_of(inset, RED) == (150, 150)
    assert box_of(inset, GREEN) == (51, 51)
    none = contact_sheet(items, tile_px=150, control_maps="none")
    assert not (none == GREEN).all(2).any()
    assert inset.shape[1] == none.shape[1] < beside.shape[1]


def test_portrait_batches_get_portrait_tiles() -> None:
    sheet = contact_sheet([SheetItem(plain(RED, 120, 80))], tile_px=240)
    assert box_of(sheet, RED) == (240, 160)


def test_a_failed_task_is_a_plain_tile_with_its_code() -> None:
    with_code = contact_sheet([SheetItem(None, "pose", failure="TIMEOUT")], tile_px=150)
    without = contact_sheet([SheetItem(None, "pose")], tile_px=150)
    tile = (246, 236, 234)
    assert box_of(with_code, tile) == (150, 150)
    assert not np.array_equal(with_code, without)


def test_captions_and_titles_change_the_picture_and_stay_inside() -> None:
    item = SheetItem(plain(RED), "a very long pose name " * 20, "detail " * 50)
    sheet = contact_sheet([item], title="title " * 80, subtitle="subtitle " * 80, tile_px=150)
    bare = contact_sheet([SheetItem(plain(RED))], tile_px=150)
    assert sheet.shape[0] > bare.shape[0]
    assert sheet.shape[1] == bare.shape[1]
    assert (sheet[:, -8:] == 255).all()


def test_loaders_are_called_when_needed() -> None:
    calls: list[int] = []

    def load() -> np.ndarray:
        calls.append(1)
        return plain(RED)

    assert box_of(contact_sheet([SheetItem(load)], tile_px=100), RED) == (100, 100)
    assert calls


def test_no_items_still_make_a_sheet() -> None:
    assert contact_sheet([], title="empty").ndim == 3
    assert len(list(contact_sheets([]))) == 1


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (100, 1), (101, 2), (250, 3)])
def test_many_pictures_are_paged(count: int, pages: int) -> None:
    items = [SheetItem(plain(RED, 8, 8), f"pose {i}") for i in range(count)]
    assert len(list(contact_sheets(items, title="t"))) == pages


def test_hundreds_on_one_sheet_shrink() -> None:
    sheet = contact_sheet([SheetItem(plain(RED, 8, 8))] * 400)
    assert sheet.shape[1] < 3200
    assert sheet.shape[0] < 3200


def test_columns_can_be_set() -> None:
    items = [SheetItem(plain(RED, 8, 8))] * 6
    assert contact_sheet(items, columns=6).shape[1] > contact_sheet(items, columns=2).shape[1]


def test_per_page_must_be_positive() -> None:
    with pytest.raises(ValueError, match="per_page"):
        list(contact_sheets([], per_page=0))
