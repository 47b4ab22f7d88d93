"""Write the table of formats in docs/exports.md anew: `python tools/exports_table.py`."""

from __future__ import annotations

import re
from pathlib import Path

from posegen.exports.formats import EXPORT_FORMATS, ExportFormat

PAGE = Path(__file__).parents[1] / "docs" / "exports.md"
BEGIN, END = "<!-- formats -->\n", "<!-- /formats -->"


def row(one: ExportFormat) -> str:
    covered = [f"{side} {pixels}" for side, pixels in one.safe_area.model_dump().items() if pixels]
    file = f"JPEG {one.quality}" if one.file_type == "jpeg" else "PNG"
    limit = f"{one.max_bytes / 1e6:g} MB" if one.max_bytes else "-"
    cells = (
        f"`{one.name}`", one.category, f"{one.width} x {one.height}", file, str(one.dpi), limit,
        ", ".join(covered) or "-", " ".join(filter(None, (one.source, one.note and f"({one.note})"))) or "-",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    """Return the formats that ship as Markdown."""
    head = (
        "| format | for | pixels | file | dpi | limit | covered by the platform, px | rule |\n|"
        + "---|" * 8
        + "\n"
    )
    return head + "".join(map(row, EXPORT_FORMATS.values()))


def with_table(text: str) -> str:
    """Return the page with the table as it is now."""
    return re.sub(rf"{BEGIN}.*?{END}", lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
