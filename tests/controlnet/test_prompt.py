from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.controlnet.prompt import (
    DEFAULT_NEGATIVE_PROMPT,
    compose_prompt,
    description,
    enhanced_prompt,
    swap_sides,
    view_words,
)
from posegen.controlnet.tokens import token_bound
from posegen.records import AVATAR_CHOICES, Avatar, View

POSE = SimpleNamespace(
    description="walking, left leg ahead, right knee at a right angle, right hand on the left hip"
)
AVATAR = Avatar(
    gender="female",
    age="middle-aged",
    body_type="athletic",
    skin_tone="olive",
    hair_style="ponytail",
    hair_color="auburn",
    top="hoodie",
    top_color="navy",
    bottom="jeans",
    bottom_color="light grey",
    shoes="sneakers",
    shoes_color="white",
    extra="she smiles",
)
WORDS = "a quiet street after the rain, soft light, a woman walks towards the camera with an umbrella "


@pytest.mark.parametrize(
    ("yaw", "words"),
    [
        (0, "seen from the front"),
        (22, "seen from the front"),
        (-45, "seen at a three-quarter angle from the front and the person's right side"),
        (90, "seen in profile from the person's left side, facing the left edge of the picture"),
        (-90, "seen in profile from the person's right side, facing the right edge of the picture"),
        (135, "seen at a three-quarter angle from behind and the person's left side"),
        (180, "seen from behind"),
        (-179, "seen from behind"),
    ],
)
def test_views_have_words(yaw, words):
    assert view_words(View(yaw=yaw)) == words


@pytest.mark.parametrize("yaw", [0, 30, 45, 90, 135, 180])
def test_a_mirrored_view_is_the_opposite_one(yaw):
    assert view_words(View(yaw=yaw, mirrored=True)) == view_words(View(yaw=-yaw))


def test_a_description_tells_the_view_and_the_pose():
    assert description(POSE, View()) == (
        "Full body seen from the front, walking, left leg ahead, right knee at a right angle, "
        "right hand on the left hip."
    )


def test_mirroring_swaps_the_sides_of_the_pose_but_no_right_angle():
    assert description(POSE, View(mirrored=True)).endswith(
        "walking, right leg ahead, left knee at a right angle, left hand on the right hip."
    )


def test_a_pose_in_sentences_keeps_them():
    pose = SimpleNamespace(description="Stands still. Arms crossed.")
    assert description(pose, View(yaw=180)) == "Full body seen from behind. Stands still. Arms crossed."
    assert description(SimpleNamespace(description=" "), View()) == "Full body seen from the front."


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("Left, RIGHT and left-hand", "Right, LEFT and right-hand"),
        ("upright, outright, cleft", "upright, outright, cleft"),
        ("leaning rightwards, leftmost", "leaning leftwards, rightmost"),
        ("right angles and a right-angled elbow", "right angles and a right-angled elbow"),
        ("", ""),
    ],
)
def test_swapping_sides(text, swapped):
    assert swap_sides(text) == swapped
    assert swap_sides(swapped) == text


def test_the_users_words_come_first_then_the_description_then_the_avatar():
    assert enhanced_prompt("A dancer in a loft", "Full body seen from behind, arms up.", AVATAR) == (
        "A dancer in a loft. Full body seen from behind, arms up. The person is a middle-aged woman with an "
        "athletic build, olive skin and an auburn ponytail, wearing a navy hoodie, light grey jeans and "
        "white sneakers. She smiles."
    )


@pytest.mark.parametrize(
    ("user_prompt", "start"),
    [
        ("a dancer", "a dancer. Full"),
        ("a dancer!", "a dancer! Full"),
        ("a dancer,", "a dancer, Full"),
        ("a dancer ", "a dancer Full"),
        ("", "A photo of one person. Full"),
        (" \n", "A photo of one person. Full"),
    ],
)
def test_the_users_words_are_joined_without_a_change(user_prompt, start):
    assert enhanced_prompt(user_prompt, "Full body.").startswith(start)


def test_without_description_and_avatar_the_prompt_is_the_users():
    assert enhanced_prompt("a dancer") == "a dancer"
    assert enhanced_prompt("a dancer", "", Avatar()) == "a dancer"


@given(user_prompt=st.text(max_size=80), words=st.text(max_size=80), limit=st.integers(1, 120))
def test_the_users_words_survive_anything(user_prompt, words, limit):
    prompt = compose_prompt(user_prompt, words, AVATAR, max_tokens=limit)
    lead = user_prompt if user_prompt.strip() else "A photo of one person"
    assert prompt.text.startswith(lead)
    assert prompt.token_bound == token_bound(prompt.text)
    assert prompt.within_limit or prompt.text == lead


def test_all_of_it_is_kept_where_there_is_room():
    prompt = compose_prompt("a dancer", description(POSE, View()), AVATAR)
    assert prompt.dropped == ()
    assert prompt.within_limit


def test_a_long_ordinary_prompt_keeps_its_description_and_avatar():
    prompt = compose_prompt(" ".join((WORDS * 20).split()[:300]), description(POSE, View()), AVATAR)
    assert prompt.dropped == ()
    assert prompt.within_limit


def test_avatar_attributes_give_way_before_the_description_and_its_end_before_its_start():
    words = description(POSE, View(yaw=180))
    whole = compose_prompt("a dancer", words, AVATAR)
    seen = [
        compose_prompt("a dancer", words, AVATAR, max_tokens=limit)
        for limit in range(whole.token_bound, 0, -1)
    ]
    order = max((prompt.dropped for prompt in seen), key=len)
    assert order == (
        "shoes",
        "shoes_color",
        "body_type",
        "bottom",
        "bottom_color",
        "top",
        "top_color",
        "hair_style",
        "hair_color",
        "skin_tone",
        "age",
        "extra",
        "gender",
        "description: right hand on the left hip.",
        "description: right knee at a right angle,",
        "description: left leg ahead,",
        "description: walking,",
        "description: Full body seen from behind,",
    )
    assert next(p for p in seen if p.dropped).dropped == ("shoes", "shoes_color")
    assert any(p.text == "a dancer. Full body seen from behind, walking." for p in seen)
    assert seen[-1].text == "a dancer"


def test_an_endless_extra_is_dropped_alone():
    prompt = compose_prompt("a dancer", "Arms up.", Avatar(gender="male", shoes="boots", extra=WORDS * 40))
    assert prompt.dropped == ("extra",)
    assert prompt.text == "a dancer. Arms up. The person is a man, wearing boots."


def test_words_that_are_too_long_by_themselves_are_kept_whole_and_noted():
    words = WORDS * 60
    prompt = compose_prompt(words, "Arms up.", Avatar(gender="male"))
    assert prompt.text == words
    assert prompt.dropped == ("gender", "description: Arms up.")
    assert not prompt.within_limit


def test_a_limit_without_room_for_the_closing_token_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        compose_prompt("a dancer", max_tokens=0)


def test_every_avatar_value_is_said():
    for field, values in AVATAR_CHOICES.items():
        for value in values:
            words = enhanced_prompt("x", "", Avatar(**{field: value}))
            said = {"female": "woman", "male": "man", "young adult": "young", "bald": "bald head"}
            assert said.get(value, value) in words


def test_the_negative_prompt_fits_any_encoder():
    assert token_bound(DEFAULT_NEGATIVE_PROMPT) <= 77
