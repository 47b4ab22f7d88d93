from dataclasses import replace

import pytest

import posegen.figure
from posegen.errors import ParameterError, UnknownNameError
from posegen.figure import Appearance, choose_appearance
from posegen.figure.appearance import color_code
from posegen.figure.palettes import HAIR, OUTFITS, SHOE_COLORS
from posegen.records import AVATAR_CHOICES, COLOR_NAMES, Avatar


def test_public_names_exist():
    assert all(hasattr(posegen.figure, name) for name in posegen.figure.__all__)
    assert posegen.figure.RENDERER_VERSION


def test_avatar_decides():
    avatar = Avatar(
        gender="male", age="senior", body_type="sturdy", skin_tone="dark", hair_style="bald", top="hoodie",
        top_color="teal", bottom="shorts", bottom_color="#123456", shoes="boots", shoes_color="black",
    )  # fmt: skip
    looks = {choose_appearance(avatar, seed) for seed in range(20)}
    for look in looks:
        assert (look.male_share, look.hair_style, look.top, look.bottom) == (1.0, "bald", "hoodie", "shorts")
        assert look.top_color == COLOR_NAMES["teal"]
        assert look.bottom_color == "#123456"
        assert look.heaviness == 1.0


def test_seed_varies_what_is_open_and_repeats_itself():
    looks = [choose_appearance(Avatar(), seed) for seed in range(40)]
    assert looks == [choose_appearance(Avatar(), seed) for seed in range(40)]
    assert len({look.top_color for look in looks}) > 5
    assert len({look.hair_style for look in looks}) > 4
    assert {look.male_share for look in looks} == {0.0, 1.0}


def test_one_answer_leaves_the_other_draws_alone():
    open_ = choose_appearance(Avatar(), 5)
    told = choose_appearance(Avatar(top="sweater"), 5)
    assert replace(open_, top="sweater") == told


@pytest.mark.parametrize("name", AVATAR_CHOICES)
def test_every_choice_is_understood(name):
    for value in AVATAR_CHOICES[name]:
        assert isinstance(choose_appearance(Avatar(**{name: value}), 0), Appearance)


def test_seniors_are_grey():
    greys = {HAIR["grey"], HAIR["white"]}
    assert {choose_appearance(Avatar(age="senior"), seed).hair_color for seed in range(20)} <= greys


@pytest.mark.parametrize("name", [*AVATAR_CHOICES, "top_color", "bottom_color", "shoes_color"])
def test_unknown_value_is_refused(name):
    with pytest.raises(UnknownNameError):
        choose_appearance(Avatar(**{name: "chartreuse-ish"}), 0)


def test_negative_seed_is_refused():
    with pytest.raises(ParameterError):
        choose_appearance(Avatar(), -1)


@pytest.mark.parametrize(
    ("background", "style", "color"),
    [("plain", "plain", None), ("gradient", "gradient", None), ("sage", "plain", COLOR_NAMES["sage"]),
     ("#ABCDEF", "plain", "#abcdef")],
)  # fmt: skip
def test_backgrounds(background, style, color):
    look = choose_appearance(Avatar(), 3, background)
    assert look.background == style
    if color:
        assert look.backdrop == color


def test_unknown_background_is_refused():
    with pytest.raises(UnknownNameError):
        choose_appearance(Avatar(), 0, "meadow")


@pytest.mark.parametrize(
    "wrong",
    [{"top": "cape"}, {"hair_style": "mohawk"}, {"background": "meadow"}, {"skin": "pink"}, {"age": 2.0},
     {"heaviness": -3.0}, {"male_share": float("nan")}],
)  # fmt: skip
def test_appearance_refuses_what_cannot_be_drawn(wrong):
    with pytest.raises((UnknownNameError, ParameterError)):
        Appearance(**wrong)


def test_palettes_name_known_colors():
    names = {name for outfit in OUTFITS for name in (outfit.top, outfit.bottom, outfit.jeans)}
    names |= {name for colors in SHOE_COLORS.values() for name in colors}
    assert names <= set(COLOR_NAMES)
    assert all(color_code(outfit.backdrop) for outfit in OUTFITS)
