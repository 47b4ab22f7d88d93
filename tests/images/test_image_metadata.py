from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from posegen import __version__
from posegen.errors import ImageDataError
from posegen.images import (
    a1111_parameters,
    digital_source_type_xmp,
    encode_png,
    png_text,
    read_metadata,
    read_picture,
    recipe_json,
)
from posegen.records import Avatar, ImageTask, View

VERSION = f"Version: posegen {__version__}"
PIXELS = np.zeros((16, 16, 3), np.uint8)


def task(**changes: object) -> ImageTask:
    fields: dict[str, object] = {
        "task_id": "0" * 32, "index": 3, "backend": "figure", "user_prompt": "a dancer",
        "prompt": "a dancer, arms raised", "seed": 7, "width": 768, "height": 1024, "conditioning": "control",
        "pose_id": "arms_up", "pose": {"angles": {"hip": 12.5}}, "view": View(45.0, True),
        "avatar": Avatar(gender="female"), "negative_prompt": "blurry, text",
    }  # fmt: skip
    return ImageTask(**{**fields, **changes})  # type: ignore[arg-type]


def a1111_parse(text: str) -> tuple[str, str, dict[str, str]]:
    """Read the convention as the web UI does: last line of at least three pairs, quoted values as JSON."""
    *lines, last = text.strip().split("\n")
    pairs = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last)
    assert len(pairs) >= 3
    prompt, negative = [], []
    target = prompt
    for line in lines:
        if line.startswith("Negative prompt:"):
            target = negative
        target.append(line.removeprefix("Negative prompt:").strip())
    values = {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}
    return "\n".join(prompt), "\n".join(negative), values


def test_parameters_with_everything_known() -> None:
    text = a1111_parameters(
        task(num_inference_steps=28, guidance_scale=3.5, model="m", options={"scheduler": "Euler"})
    )
    assert text.split("\n") == [
        "a dancer, arms raised",
        "Negative prompt: blurry, text",
        "Steps: 28, Sampler: Euler, CFG scale: 3.5, Seed: 7, Size: 768x1024, Model: m, " + VERSION,
    ]


def test_parameters_with_nothing_known_still_have_three_pairs() -> None:
    prompt, negative, values = a1111_parse(a1111_parameters(task(negative_prompt="")))
    assert prompt == "a dancer, arms raised"
    assert negative == ""
    assert values == {"Seed": "7", "Size": "768x1024", "Model": "figure", "Version": f"posegen {__version__}"}


@pytest.mark.parametrize("model", ["a, b", "fal:flux", "two\nlines", 'say "x"', "plain", "caf\u00e9: \u6b63"])
def test_values_are_quoted_where_the_convention_needs_it(model: str) -> None:
    assert a1111_parse(a1111_parameters(task(), model=model))[2]["Model"] == model


@given(st.text(), st.text(), st.integers(0, 2**63 - 1))
def test_pairs_are_read_back_whatever_the_prompts(prompt: str, negative: str, seed: int) -> None:
    text = a1111_parameters(task(prompt=prompt, negative_prompt=negative, seed=seed))
    assert f"Seed: {seed}, Size: 768x1024" in text.split("\n")[-1]


def test_recipe_makes_the_same_task_again_and_writes_defaults_out() -> None:
    text = recipe_json(task())
    again = read_metadata(encode_png(PIXELS, text={"posegen": text})).recipe
    assert again is not None
    assert again.task == task()
    assert again.posegen == __version__
    assert again.synthetic is True
    assert json.loads(text)["task"]["candidate"] == 0


def test_recipe_is_canonical() -> None:
    text = recipe_json(task())
    loaded = json.loads(text)
    assert text == json.dumps(loaded, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    swapped = task(options={"b": 1, "a": 2})
    assert recipe_json(swapped) == recipe_json(task(options={"a": 2, "b": 1}))


def test_a_generative_backend_is_not_called_synthetic() -> None:
    assert json.loads(recipe_json(task(backend="fal")))["synthetic"] is False


@pytest.mark.parametrize(
    ("kind", "code"), [("generated", "trainedAlgorithmicMedia"), ("rendered", "algorithmicMedia")]
)
def test_source_type_is_valid_xmp_and_read_back(kind: str, code: str) -> None:
    packet = digital_source_type_xmp(kind)  # type: ignore[arg-type]
    tree = ET.fromstring(packet.split("?>", 1)[1].rsplit("<?", 1)[0])
    (description,) = tree.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    uri = f"http://cv.iptc.org/newscodes/digitalsourcetype/{code}"
    assert description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType") == uri
    assert read_metadata(encode_png(PIXELS, xmp=packet)).digital_source_type == uri


def test_source_type_is_read_from_other_programs_files() -> None:
    uri = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    packet = f"<a><Iptc4xmpExt:DigitalSourceType>{uri}</Iptc4xmpExt:DigitalSourceType></a>"
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", xmp=packet.encode())
    assert read_metadata(buffer.getvalue()).digital_source_type == uri


def test_all_three_are_read_back() -> None:
    unusual = task(prompt="\u6b63\u9762, \U0001f9d8\nsecond line", negative_prompt="\u00e9")
    data = encode_png(PIXELS, text=png_text(unusual), xmp=digital_source_type_xmp("rendered"))
    found = read_metadata(data)
    assert found.parameters == a1111_parameters(unusual)
    assert found.recipe is not None
    assert found.recipe.task == unusual
    assert found.digital_source_type is not None
    assert set(found.text) == {"parameters", "posegen", "XML:com.adobe.xmp"}


def test_a_plain_picture_says_nothing() -> None:
    found = read_metadata(encode_png(PIXELS))
    assert (found.parameters, found.recipe, found.digital_source_type) == (None, None, None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"posegen": 1}', "[" * 100_000])
def test_a_foreign_recipe_is_none(text: str) -> None:
    assert read_metadata(encode_png(PIXELS, text={"posegen": text})).recipe is None


def test_broken_files_are_named() -> None:
    with pytest.raises(ImageDataError):
        read_metadata(b"nothing")


def test_a_picture_is_read_with_its_words_at_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    data = encode_png(pixels, text={"parameters": "words"}, xmp=digital_source_type_xmp("rendered"))
    read, metadata = read_picture(data)
    assert np.array_equal(read, pixels)
    assert metadata == read_metadata(data)
    assert metadata.parameters == "words"
