"""Commands about what there is: poses, doctor."""

from __future__ import annotations

import sys

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import print_rows


@app.command()
@click.option("-c", "--category", help="Only this category.")
@click.option("-s", "--search", help="Words to search for, best match first.")
@json_option
def poses(category: str | None, search: str | None, as_json: bool) -> None:
    """List the pose library."""
    from posegen.poses.library import PoseLibrary

    library = PoseLibrary.builtin()
    found = library.search(search) if search else list(library)
    if category:
        wanted = {pose.id for pose in library.category(category)}
        found = [pose for pose in found if pose.id in wanted]
    rows = [
        {
            "id": pose.id,
            "category": pose.category,
            "difficulty": pose.difficulty,
            "tags": list(pose.tags),
            "description": pose.description,
        }
        for pose in found
    ]
    print_rows(rows, as_json, empty="no pose matches")


@app.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what is configured and what is missing; never a key's value."""
    from posegen.doctor import checks

    found = checks()
    print_rows([check.row() for check in found], as_json, empty="")
    if not all(check.good for check in found if check.needed):
        sys.exit(1)
