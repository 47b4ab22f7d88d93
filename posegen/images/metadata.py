"""What a picture says about itself: A1111 parameters, posegen's recipe, IPTC digital source type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen import __version__
from posegen.images import plain_png
from posegen.images.codec import opened, pixels_of
from posegen.records import ImageTask

PARAMETERS_KEY = "parameters"
"""PNG text key of the AUTOMATIC1111 web UI, which most picture tools read."""

RECIPE_KEY = "posegen"
"""PNG text key of posegen's own recipe."""

SourceKind = Literal["generated", "rendered"]
"""Made by a trained model, or drawn by posegen's embedded renderer."""

_NEWSCODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

DIGITAL_SOURCE_TYPES: dict[SourceKind, str] = {
    # "Digital media created algorithmically using an Artificial Intelligence model trained on captured
    # content".
    "generated": _NEWSCODES + "trainedAlgorithmicMedia",
    # "Media created purely by an algorithm not based on any sampled training data, e.g. an image created by
    # software using a mathematical formula". Not digitalCreation, which is "created by a human".
    "rendered": _NEWSCODES + "algorithmicMedia",
}
"""IPTC NewsCodes, scheme http://cv.iptc.org/newscodes/digitalsourcetype/, definitions as of 2024-09."""

_XMP_TEMPLATE = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about=""\n'
    '    xmlns:xmp="http://ns.adobe.com/xap/1.0/"\n'
    '    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
    '    xmp:CreatorTool="posegen {version}"\n'
    '    Iptc4xmpExt:DigitalSourceType="{uri}"/>\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="r"?>'
)
# Attribute or element form; the value is a URI, so no XML parser has to see untrusted XML.
_SOURCE_TYPE = re.compile(r"""DigitalSourceType\s*(?:=\s*["']|>\s*)([^"'<>\s]+)""")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decided a picture, enough to make it again.

    Attributes
    ----------
    posegen : str
        The version that made it.
    synthetic : bool
        True: drawn by the embedded renderer, so it says nothing about a generative model.
    task : ImageTask
    """

    schema: int = 1
    posegen: str
    synthetic: bool
    task: ImageTask


class ImageMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What `read_metadata` found; None for what a picture lacks.

    Attributes
    ----------
    parameters : str or None
        In the A1111 convention.
    recipe : Recipe or None
        posegen's own; None also if it is another program's text under that key.
    digital_source_type : str or None
        IPTC URI.
    text : dict of str to str
        Every text chunk of a PNG.
    """

    parameters: str | None = None
    recipe: Recipe | None = None
    digital_source_type: str | None = None
    text: dict[str, str] = {}


def source_kind(task: ImageTask) -> SourceKind:
    """Return how the task's backend makes its pictures."""
    return "rendered" if task.backend == "figure" else "generated"


def a1111_parameters(task: ImageTask, *, model: str | None = None) -> str:
    """Return the task in the A1111 convention: prompt, negative prompt, a line of `Name: value` pairs.

    Parameters
    ----------
    task : ImageTask
    model : str, optional
        The model that was really used, where it differs from the task's.

    Notes
    -----
    Readers of the convention take the last line for pairs only if it has three; size, seed and model are
    always there. Line ends in a prompt become spaces; the recipe has the prompt as it was.
    """
    pairs: list[tuple[str, object]] = [
        ("Steps", task.num_inference_steps),
        ("Sampler", task.options.get("scheduler")),
        ("CFG scale", task.guidance_scale),
        ("Seed", task.seed),
        ("Size", f"{task.width}x{task.height}"),
        ("Model", model or task.model or task.backend),
        ("Version", f"posegen {__version__}"),
    ]
    lines = [_one_line(task.prompt)]
    if task.negative_prompt.strip():
        lines.append(f"Negative prompt: {_one_line(task.negative_prompt)}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in pairs if value is not None))
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Return a prompt without line ends, so that no line of it can pass for one of the convention's own."""
    return " ".join(text.split())


def _quoted(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',:\n"') else text


def recipe_json(task: ImageTask) -> str:
    """Return the task's `Recipe` as canonical JSON: sorted keys, every field, no white space.

    Defaults are written out, so that a later version's other defaults change nothing.
    """
    fields: dict[str, Any] = {name: getattr(task, name) for name in task.__struct_fields__}
    recipe = {
        "schema": 1,
        "posegen": __version__,
        "synthetic": source_kind(task) == "rendered",
        "task": fields,
    }
    return msgspec.json.encode(recipe, order="sorted").decode()


def digital_source_type_xmp(kind: SourceKind) -> str:
    """Return an XMP packet with the IPTC digital source type of `kind`."""
    return _XMP_TEMPLATE.format(version=__version__, uri=DIGITAL_SOURCE_TYPES[kind])


def png_text(task: ImageTask, *, model: str | None = None) -> dict[str, str]:
    """Return the text chunks of a task's PNG, for `encode_png`."""
    return {PARAMETERS_KEY: a1111_parameters(task, model=model), RECIPE_KEY: recipe_json(task)}


def read_metadata(data: bytes) -> ImageMetadata:
    """Return what a PNG, JPEG or WebP file says about itself; `data` may be anybody's.

    Raises
    ------
    ImageDataError
        As `decode`.
    """
    with opened(data) as image:
        image.load()  # text may stand after the pixels
        return _metadata(image, getattr(image, "text", {}))


def read_picture(data: bytes) -> tuple[NDArray[np.uint8], ImageMetadata]:
    """Return what `decode` and `read_metadata` do, unpacking the file once, and fast if it is a plain PNG.

    Raises
    ------
    ImageDataError
        As `decode`.
    """
    with opened(data) as image:  # judges the size
        pixels = plain_png.unpack(data)
        if pixels is None:
            return pixels_of(image), _metadata(image, getattr(image, "text", {}))
        # A plain PNG has all its words before its pixels, and Pillow has read them; of all that it read,
        # only words are str.
        words = {key: value for key, value in image.info.items() if isinstance(value, str)}
        return pixels, _metadata(image, words)


def _metadata(image: Image.Image, words: Mapping[Any, object]) -> ImageMetadata:
    text = {str(key): str(value) for key, value in words.items()}
    xmp = image.info.get("xmp", b"")
    if isinstance(xmp, bytes):
        xmp = xmp.decode("utf-8", "replace")
    match = _SOURCE_TYPE.search(xmp)
    return ImageMetadata(
        parameters=text.get(PARAMETERS_KEY),
        recipe=_recipe(text.get(RECIPE_KEY)),
        digital_source_type=match.group(1) if match else None,
        text=text,
    )


def _recipe(text: str | None) -> Recipe | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=Recipe)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None
