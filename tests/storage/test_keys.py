import pytest

from posegen.storage import (
    check_key,
    control_map_key,
    export_key,
    image_key,
    is_safe_name,
    original_key,
    run_key,
    thumbnail_key,
)


def test_the_layout_is_the_documented_one():
    assert image_key("r", "t") == "runs/r/images/t.png"
    assert original_key("r", "t") == "runs/r/originals/t.png"
    assert thumbnail_key("r", "t") == "runs/r/thumbnails/t.jpg"
    assert export_key("r", "instagram_story", "t", "jpg") == "runs/r/exports/instagram_story/t.jpg"
    assert control_map_key("ab") == "controlnet-cache/ab.png"
    assert run_key("r", "contact_sheet.png") == "runs/r/contact_sheet.png"


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "_x", "0" * 200, "2026-11-23T10.15.00Z-ab12", "a..b"])
def test_safe_names(name):
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".tmp-x", "-rf", "a.", "a/b", "a\\b", "a b", "a\n", "a\0", "caf\u00e9", "a:b", "0" * 201],
)
def test_unsafe_names(name):
    assert not is_safe_name(name)


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "C:/a", "~/a", "a/" * 500 + "a"]
)
def test_bad_keys_are_refused(key):
    with pytest.raises(ValueError, match="not a storage key"):
        check_key(key)


@pytest.mark.parametrize("part", ["../x", "a/b/..", "", ".hidden"])
def test_parts_cannot_lead_out(part):
    with pytest.raises(ValueError, match="not a storage key"):
        image_key(part, "t")
    with pytest.raises(ValueError, match="not a storage key"):
        export_key("r", part, "t", "jpg")
