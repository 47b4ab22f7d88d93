from pathlib import Path

import pytest

from posegen.errors import InputError
from posegen.exports.formats import EXPORT_FORMATS, load_formats

OWN = """
[poster_a4]
category = "print"
size = [2480, 3508]
dpi = 300
file_type = "png"
safe_area = { left = 60, right = 60, top = 60, bottom = 60 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "formats.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_formats_of_ones_own_come_after_those_that_ship(tmp_path: Path) -> None:
    formats = load_formats(written(tmp_path, OWN))
    assert list(formats)[:12] == list(EXPORT_FORMATS)
    poster = formats["poster_a4"]
    assert (poster.width, poster.height, poster.extension, poster.safe_area.top) == (2480, 3508, "png", 60)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tiktok]\nsize = [9, 16]", "format 'tiktok': width is 9"),
        ("[tiktok]\nsize = [900, 1600]", "'tiktok' ships with posegen"),
        ("[a]\nsize = [90]", r"size must be \[width, height\] in pixels, not \[90\]"),
        ("[a]\nsize = [90, 90.5]", "height is 90.5"),
        ("[a]\nsize = [90, 20000]", "height is 20000: .*10000"),
        ("[a]\nsize = [90, 90]\nquality = 100", "quality is 100: .*95"),
        ("[a]\nsize = [90, 90]\nquality = 50", "least_quality 70 is above quality 50"),
        ("[a]\nsize = [90, 90]\ncolour = 'CMYK'", "colour is 'CMYK': .*sRGB"),
        ("[a]\nsize = [90, 90]\nfile_type = 'gif'", "file_type is 'gif': .*jpeg"),
        ("[a]\nsize = [90, 90]\nsharpen = 1", "sharpen is 1: Extra inputs"),
        ("[a]\nsize = [90, 90]\nsafe_area = { left = 50 }", "less than half"),
        ("['../a']\nsize = [90, 90]", "name is '../a'"),
        ("a = 1", "'a' is 1, not a table"),
        ("[a", "cannot be read"),
    ],
)
def test_what_is_no_format_is_told_by_name_and_value(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=said) as told:
        load_formats(path)
    assert str(path) in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_formats(tmp_path / "none.toml")


def test_a_rule_is_the_same_only_where_all_that_decides_the_bytes_is() -> None:
    post, shopee = EXPORT_FORMATS["instagram_post"], EXPORT_FORMATS["shopee"]
    assert post.rule == post.model_copy(update={"name": "other", "source": "elsewhere"}).rule
    assert post.rule != shopee.rule
    assert post.rule != post.model_copy(update={"quality": 80}).rule
