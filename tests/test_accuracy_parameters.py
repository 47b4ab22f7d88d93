"""The schema of the accuracy notebook, and arms as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from posegen.errors import ParameterError
from posegen.parameters import AccuracyParameters, Arm, BatchParameters, check, read_arm
from posegen.parameters.accuracy import sample_poses
from posegen.parameters.pictures import PictureParameters
from posegen.poses.library import PoseLibrary


def test_the_default_is_a_small_free_experiment_with_its_truth() -> None:
    parameters = check(AccuracyParameters, {})
    assert (parameters.backend, parameters.baseline_name) == ("figure", "none")
    assert [arm.name for arm in parameters.arm_list][-2:] == ["shuffled", "direct"]
    library = PoseLibrary.builtin()
    assert len(sample_poses()) >= 30
    chosen = {library.get(pose).category for pose in sample_poses()}
    assert chosen == {pose.category for pose in library}


def test_a_batch_and_an_experiment_share_their_fields() -> None:
    shared = set(PictureParameters.model_fields)
    assert shared < set(BatchParameters.model_fields)
    assert set(AccuracyParameters.model_fields) - shared == {"arms", "baseline"}


@pytest.mark.parametrize(
    ("text", "conditioning", "placed"),
    [
        ("none", "none", None),
        ("control@0", "control", ("controlnet_conditioning_scale", 0.0)),
        ("control@.6", "control", ("controlnet_conditioning_scale", 0.6)),
        ("control~12", "control", ("joint_noise_deg", 12.0)),
        ("prompt~3", "prompt", ("joint_noise_deg", 3.0)),
    ],
)
def test_short_forms(text: str, conditioning: str, placed: tuple[str, float] | None) -> None:
    arm = read_arm(text)
    assert (arm.name, arm.conditioning, arm.placed) == (text, conditioning, placed)


def test_a_mapping_says_more() -> None:
    arm = read_arm({"name": "slow", "conditioning": "control", "num_inference_steps": 50, "dose": 2})
    assert (arm.own, arm.placed) == ({"num_inference_steps": 50}, ("dose", 2.0))
    assert read_arm({"conditioning": "prompt"}).name == "prompt"
    assert isinstance(arm, Arm)


S, P, D = ({"name": "a", "conditioning": kind} for kind in ("shuffled", "prompt", "direct"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"arms": ["none"]}, "nothing to compare"),
        ({"arms": ["none", "none"]}, "'none' is there twice"),
        ({"arms": ["none", "contrl"]}, "'contrl' is not an arm; allowed: none, prompt"),
        ({"arms": ["none", 3]}, "3 is not an arm"),
        ({"arms": ["none", "prompt@1"]}, "control scale belongs to control"),
        ({"arms": ["none", "direct~3"]}, "direct has no dose"),
        ({"arms": ["none", "control@0.5"]}, "no effect on the embedded renderer; its dose is"),
        ({"arms": ["none", "control~99"]}, "arms.control~99: backend_options.joint_noise_deg: 99.0"),
        ({"arms": ["shuffled", S]}, "there is none"),
        ({"arms": ["none", {**S, "of": "b"}]}, "'b' is not an arm with images"),
        ({"arms": ["none", {**P, "of": "none"}]}, "'of' belongs to shuffled"),
        ({"arms": ["none", {**D, "model": "m"}]}, "direct takes no parameters"),
        ({"arms": ["none", {**D, "name": " a"}]}, "is not a name"),
        ({"arms": ["none", {"name": "a", "conditionin": "direct"}]}, "did you mean 'arms.conditioning'"),
        ({"arms": ["none", "control"], "backend": "huggingface"}, "arms.control: conditioning: 'control'"),
        ({"baseline": "contrl"}, "baseline: 'contrl' is not an arm; allowed: none, prompt"),
        ({"poses": []}, "nothing is selected"),
        ({"estimator": "off"}, "needs an estimator by name"),
        ({"estimator": "openpose"}, "unknown estimator 'openpose'"),
        ({"widht": 512}, "did you mean 'width'"),
        ({"width": 500}, "the nearest is 496"),
        ({"prompts": ["a", " "]}, "an entry is empty"),
        ({"conditioning": "control"}, "unknown parameter 'conditioning'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as error:
        check(AccuracyParameters, values)
    assert said in str(error.value)


def test_an_arm_changes_what_it_names_and_nothing_else() -> None:
    other = {"name": "b", "conditioning": "control", "guidance_scale": 2.0}
    parameters = AccuracyParameters(
        arms=["control@0", {**other, "seed_offset": 3}, "direct"],
        backend="fal", guidance_scale=3.5, seed=7, poses=["waving_hello"],
    )  # fmt: skip
    off, changed, direct = (parameters.batch_of(arm) for arm in parameters.arm_list)
    assert (off.controlnet_conditioning_scale, off.guidance_scale, off.seed) == (0.0, 3.5, 7)
    assert (changed.controlnet_conditioning_scale, changed.guidance_scale, changed.seed) == (None, 2.0, 10)
    assert (direct.backend, direct.conditioning, direct.guidance_scale) == ("figure", "control", None)
    assert {batch.width for batch in (off, changed, direct)} == {384}


def test_a_list_can_be_given_as_words() -> None:
    assert check(AccuracyParameters, {"arms": "none, control~6"}).arms == ["none", "control~6"]
