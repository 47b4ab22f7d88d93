"""docs/estimators.md names every option with its default."""

import inspect
import re

import pytest
from pydantic_core import PydanticUndefined

from posegen.accuracy.onnx_pose import RTMPose
from posegen.accuracy.options import OnnxOptions


@pytest.fixture(scope="module")
def rows(project_root):
    text = (project_root / "docs" / "estimators.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE))


def in_words(default):
    if default is PydanticUndefined:
        return "needed"
    if default is None:
        return "none"
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    return str(default)


def test_every_option_is_there_with_its_default(rows):
    fields = OnnxOptions.model_fields
    assert {name: value.strip("`") for name, value in rows.items()} == {
        name: in_words(field.default) for name, field in fields.items()
    }


def test_the_estimator_takes_what_the_options_offer():
    """The defaults stand twice: with the options and with what they are for."""
    taken = inspect.signature(RTMPose).parameters
    assert {name: field.default for name, field in OnnxOptions.model_fields.items() if name != "model"} == {
        name: parameter.default for name, parameter in taken.items() if name != "model"
    }
