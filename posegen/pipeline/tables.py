"""Tables for notebooks: every value is escaped, since prompts and names are text, never HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as an HTML table; every value is escaped, since prompts and names are text, never HTML."""
    if not rows:
        return ""
    head = "".join(
        f"<th style='text-align:left'>{html.escape(name.replace('_', ' '))}</th>" for name in rows[0]
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td style='text-align:left'>{_cell(value)}</td>" for value in row.values())
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return html.escape("; ".join(map(str, value)) if isinstance(value, list) else str(value))
