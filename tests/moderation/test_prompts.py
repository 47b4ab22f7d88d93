import logging
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.controlnet.prompt import DEFAULT_NEGATIVE_PROMPT
from posegen.errors import InappropriatePromptError
from posegen.moderation import PromptScreen, open_prompt_screen
from posegen.moderation.wordlists import builtin
from posegen.parameters import BatchParameters, defaults
from posegen.poses.library import PoseLibrary
from posegen.records import AVATAR_CHOICES, COLOR_NAMES

INNOCENT = (
    "Scunthorpe", "cocktail dress", "breaststroke", "chicken breast",
    "shooting a basketball", "kill it on stage",
    "nude heels", "nude lipstick", "knife hand strike", "blade runner", "bow and arrow", "martial arts kick",
    "boxing punch", "shot put", "photo shoot", "shoot from above", "head shot", "headshot", "blood orange",
    "bloody mary", "hot pants", "bare feet", "barefoot", "sexton", "child doing yoga",
    "a boy playing football",
    "10 year old birthday party", "child's pose", "", "   ", "!!!",
)  # fmt: skip


@pytest.fixture(scope="module")
def screen():
    return open_prompt_screen()


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_prompt_passes(screen, text):
    assert screen.find(text) is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a nude woman", "sexual"),
        ("nude woman in heels", "sexual"),
        ("n u d e", "sexual"),
        ("n.u.d.e", "sexual"),
        ("a nude child", "minors"),
        ("naked, a 12-year-old", "minors"),
        ("aged 15, in lingerie", "minors"),
        ("torture of a prisoner", "violence"),
        ("nazi salute", "hate"),
        ("kill all muslims", "hate"),
    ],
)
def test_a_prompt_is_refused_in_its_category(screen, text, category):
    assert screen.find(text).category == category


def test_words_are_read_together_over_all_that_was_typed(screen):
    screen.check("a child playing football", "")
    with pytest.raises(InappropriatePromptError, match="category minors"):
        screen.check("a child playing football", "naked")


def test_the_refusal_names_the_category_and_the_log_the_term(screen, caplog):
    caplog.set_level(logging.INFO, "posegen.moderation")
    with pytest.raises(InappropriatePromptError) as refused:
        screen.check("a murderer with an axe")
    assert str(refused.value) == "the prompt was refused (category violence)"
    assert (refused.value.code, refused.value.category) == ("INAPPROPRIATE_PROMPT", "violence")
    assert pickle.loads(pickle.dumps(refused.value)).category == "violence"
    assert "murder" in caplog.records[-1].context["term"]


def test_the_poses_own_words_pass(screen):
    for pose in PoseLibrary.builtin():
        words = [
            pose.id.replace("_", " "),
            pose.name,
            pose.description,
            pose.category.replace("_", " "),
            *pose.tags,
        ]
        assert screen.find(" ".join(words)) is None, pose.id


def test_defaults_and_every_choice_pass(screen):
    choices = [word for words in AVATAR_CHOICES.values() for word in words]
    for text in (
        defaults(BatchParameters)["prompt"],
        DEFAULT_NEGATIVE_PROMPT,
        " ".join([*choices, *COLOR_NAMES]),
    ):
        assert screen.find(text) is None


@given(st.text(max_size=300))
def test_any_text_gets_the_same_verdict_twice(text):
    assert open_prompt_screen().find(text) == PromptScreen(builtin()).find(text)


@given(
    st.lists(
        st.sampled_from(
            [
                *[
                    "nude",
                    "kill",
                    "child",
                    "a",
                    "b",
                    "12",
                    "year",
                    "old",
                    "n.u.d.e",
                    "naked*",
                    "gun",
                    "to",
                    "his",
                    "head",
                ]
            ]
        ),
        max_size=60,
    )
)
def test_any_mixture_of_loaded_words_ends(words):
    open_prompt_screen()._find(" ".join(words))


@pytest.mark.parametrize(
    "unit", ["n u d e x ", "child kill ", "a.b.c.d.", "young girl 12 year old ", "* ", "nude beige "]
)
def test_ten_thousand_characters_take_no_more_than_their_share(unit):
    """Linear: ten times the text takes about ten times as long."""
    screen = PromptScreen(builtin())

    def spent(length):
        text = (unit * length)[:length]
        started = time.process_time()
        screen._find(text)
        return time.process_time() - started

    assert min(spent(10_000) for _ in range(2)) < 40 * min(spent(1_000) for _ in range(3)) + 0.1


def test_a_usual_prompt_takes_next_to_no_time():
    """0.25 ms on the machine of docs/moderation.md; measuring coverage slows it several times."""
    screen = PromptScreen(builtin())
    text = "a woman in a white shirt standing in a bright studio, soft light, photo"
    times = []
    for _ in range(50):
        started = time.process_time()
        screen._find(text)
        times.append(time.process_time() - started)
    assert min(times) < 0.005
