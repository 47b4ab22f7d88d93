"""What exports say about themselves, read by exiftool."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from posegen.exports.crop import Crop, choose_crop
from posegen.exports.formats import EXPORT_FORMATS, ExportFormat
from posegen.exports.render import Renderer
from posegen.images import digital_source_type_xmp

WORDS = 'eine Straße im Regen, 雨, 🌧\nNegative prompt: x\nSteps: 4, Seed: 1, Model: "a, b"'
RECIPE = '{"task":{"prompt":"Straße 雨"},"posegen":"1"}'
FORMATS = [
    *EXPORT_FORMATS.values(),
    ExportFormat(name="own", width=400, height=300, file_type="png", dpi=300),
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return by name what exiftool finds in an export of every format."""
    if not shutil.which("exiftool"):
        why = "exiftool is missing; `make test` as root installs it (Debian: libimage-exiftool-perl)"
        pytest.fail(why) if "CI" in os.environ else pytest.skip(why)
    folder = tmp_path_factory.mktemp("exports")
    pixels = np.random.default_rng(0).integers(90, 110, (256, 256, 3), dtype=np.uint8)
    renderer = Renderer(pixels, parameters=WORDS, recipe=RECIPE, xmp=digital_source_type_xmp("generated"))
    for entry in FORMATS:
        crop = choose_crop((256, 256), (entry.width, entry.height), None)
        data = renderer.render(crop if entry.name != "own" else Crop(0, 0, 256, 192), entry).data
        (folder / f"{entry.name}.{entry.extension}").write_bytes(data)
    command = ["exiftool", "-json", "-G1", "-validate", "-warning", "-error", "-a", "-all:all", str(folder)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {tags["System:FileName"].partition(".")[0]: tags for tags in found}


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_an_outside_reader_finds_everything(read, entry):
    tags = read[entry.name]
    assert (tags["File:FileType"], tags["File:MIMEType"]) == (entry.file_type.upper(), entry.content_type)
    assert tags["ExifIFD:UserComment"] == WORDS
    assert json.loads(tags["IFD0:ImageDescription"]) == json.loads(RECIPE)
    # exiftool shows the NewsCode's name or its whole address.
    assert tags["XMP-iptcExt:DigitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert "sRGB" in tags["ICC_Profile:ProfileDescription"]
    assert (tags["IFD0:XResolution"], tags["IFD0:YResolution"]) == (entry.dpi, entry.dpi)
    assert tags["IFD0:ResolutionUnit"] == "inches"
    if entry.file_type == "jpeg":
        assert (tags["JFIF:XResolution"], tags["JFIF:YResolution"]) == (entry.dpi, entry.dpi)
        assert tags["JFIF:ResolutionUnit"] == "inches"
        assert (tags["File:ImageWidth"], tags["File:ImageHeight"]) == (entry.width, entry.height)
        assert (tags["ExifIFD:ExifImageWidth"], tags["ExifIFD:ColorSpace"]) == (entry.width, "sRGB")
        assert tags["File:YCbCrSubSampling"].startswith("YCbCr4:2:0")
    else:
        assert tags["PNG-pHYs:PixelsPerUnitX"] == round(entry.dpi / 0.0254)
        assert tags["PNG:Parameters"] == WORDS
        assert "PNG:SRGBRendering" not in tags
    assert entry.dpi == (300 if entry.category in {"print", "own"} else 72)


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_an_outside_reader_finds_nothing_wrong(read, entry):
    tags = read[entry.name]
    assert not [key for key in tags if key.endswith(("Warning", "Error"))], tags
    assert tags["ExifTool:Validate"] == "OK"
