"""What docs/exports.md says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import exports_table
import pytest

from posegen.cli import app
from posegen.exports.formats import EXPORT_FORMATS, load_formats
from posegen.pipeline.export_choice import DEFAULT_FORMATS


@pytest.fixture(scope="module")
def page(project_root: Path) -> str:
    return (project_root / "docs/exports.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_formats(page: str) -> None:
    assert exports_table.with_table(page) == page, "python tools/exports_table.py writes it anew"
    assert all(f"| `{name}` |" in page for name in EXPORT_FORMATS)


def test_the_file_of_ones_own_that_is_shown_is_right(page: str, tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    own = tmp_path / "own.toml"
    own.write_text(shown[1], encoding="utf-8")
    assert len(load_formats(own)) > len(EXPORT_FORMATS)


def test_every_option_is_described(page: str) -> None:
    options = {name for one in app.commands["export"].params for name in one.opts if name.startswith("--")}
    assert {name for name in options if f"`{name}`" not in page} == set()


def test_the_default_formats_are_named(page: str) -> None:
    assert all(f"`{name}`" in page for name in DEFAULT_FORMATS)
