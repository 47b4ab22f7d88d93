"""The command that makes a pose of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import command, print_json, say, short

if TYPE_CHECKING:
    from posegen.picture_poses import PicturePose


@app.command(name="add-pose")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "--library",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    help="The library file to add it to; made if there is none.",
)
@click.option("--id", "pose_id", required=True, help="Lower case words joined by underscores.")
@click.option("--name", help="By default made from the id.")
@click.option("--description", help="By default made from the joint angles.")
@click.option("--category", help="By default that of the library file, for a new one standing.")
@click.option(
    "--person", type=click.IntRange(min=1), help="Who, from 1, left to right; by default the largest."
)
@click.option("--replace", is_flag=True, help="Replace a pose of that id in the file.")
@click.option(
    "--preview",
    type=click.Path(path_type=Path),
    help="Write a PNG to look at: picture and skeleton, control map, renders.",
)
@json_option
def add_pose(
    picture: Path,
    file: Path,
    pose_id: str,
    name: str | None,
    description: str | None,
    category: str | None,
    person: int | None,
    replace: bool,
    preview: Path | None,
    as_json: bool,
) -> None:
    """Add the pose of somebody in PICTURE (PNG, JPEG or WebP) to a pose library of your own.

    Exit codes: 0 added, 1 a fault of ours, 2 nobody is found or a value is wrong.
    """
    from posegen.images import encode_png
    from posegen.picture_poses import pose_from_picture
    from posegen.poses.library import category_of_file
    from posegen.storage.atomic import write_atomically

    found = pose_from_picture(
        picture,
        pose_id=pose_id,
        person=person if person is not None else "largest",
        name=name,
        category=category or category_of_file(file) or "standing",
        description=description,
    )
    found.save(file, replace=replace)
    if preview is not None:
        write_atomically(preview, encode_png(found.preview_pixels))
    if as_json:
        print_json(
            {**found.facts(), "library": str(file), "preview": None if preview is None else str(preview)}
        )
        return
    _print(found, file, preview)


def _print(found: PicturePose, file: Path, preview: Path | None) -> None:
    facts = found.facts()
    count = len(found.people)
    who = "1 person," if count == 1 else f"{count} people, of whom number"
    say(f"found     {who} {found.person.where()} (pixels)")
    say(f"pose      {found.pose.id}: {found.pose.description}")
    say(f"seen      from yaw {found.view.yaw:g}, on the {found.pose.support}")
    errors = (
        [] if facts["fit_error_share"] is None else [f"keypoints {facts['fit_error_share']:.1%} of its size"]
    )
    if facts["fit_error_deg"] is not None:
        errors.insert(0, f"limbs {facts['fit_error_deg']:.0f} degrees")
    say(f"fit       {', '.join(errors)} off what was estimated; depth {facts['depth']}")
    for note in found.notes:
        say(f"note      {note}")
    say(f"library   {short(file)}")
    if preview is not None:
        say(f"preview   {short(preview)}")
    say("\nNext:")
    say(
        f"  {command()} run batch_generation -p pose_library {short(file)} -p poses '[{found.pose.id}]' "
        f"-p views '[{found.view.yaw:g}]'"
    )
