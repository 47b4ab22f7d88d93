import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.moderation.text import fold, forms_of, read


class Known:
    """Knows a few words."""

    words = frozenset({"nude", "naked", "sex"})

    def has(self, word):
        return word in self.words

    def knows(self, word):
        return word in self.words

    def split(self, forms):
        return ["nude", "girl"] if "nudegirl" in forms else None


def readings(text):
    return {form for edges in read(text, Known()).edges for forms, _ in edges for form in forms}


@pytest.mark.parametrize(
    "text",
    [
        "nude", "NUDE", "Nude!", "nüdé", "n\u200bu\u00add\u2060e", "nud\u0435", "n\u057dde",
        "\uff4e\uff55\uff44\uff45",
        "\U0001d427\U0001d42e\U0001d41d\U0001d41e", "\u24dd\u24e4\u24d3\u24d4", "nud3", "nuuude", "nudeee",
        "n u d e", "n.u.d.e", "n-u-d-e", "n_u_d_e", "a n u d e", "nu.de", "nu-de", "n ude", "nud e", "n*de",
        "nude_photo", "nudeGirl", "nudegirl", "1nude", "nude2", "'nude'", "nude's",
    ],
)  # fmt: skip
def test_a_disguised_word_is_read(text):
    assert "nude" in readings(text)


@pytest.mark.parametrize("text", ["denude", "nudeln", "nu de", "nun", "n u", "n d e", "u de", "no de"])
def test_another_word_is_not_taken_for_it(text):
    assert "nude" not in readings(text)


def test_a_short_word_spelt_out_counts_only_if_it_is_all_there_is():
    assert "sex" in readings("s e x")
    assert "sex" not in readings("u s e x y")


def test_numbers_stay_numbers():
    assert forms_of("12") == {"12"}
    assert "girl" in forms_of("1girl")


def test_plain_text_is_left_as_it_is():
    assert fold("A plain text, 12 years.") == "A plain text, 12 years."


def test_a_place_after_glued_words_is_the_next_word():
    words = read("nudegirl standing", Known())
    assert words.plain == ("nude", "girl", "standing")
    assert {after for _, after in words.edges[0]} == {1, 2}


@given(st.text(max_size=200))
def test_any_text_can_be_read_and_leads_on(text):
    words = read(text, Known())
    assert len(words.plain) == len(words.edges)
    assert all(
        start < after <= len(words.edges) for start, edges in enumerate(words.edges) for _, after in edges
    )


@pytest.mark.parametrize("unit", ["n u d e ", "a.b.c.", "1!", "*", "aaaa", "n\u0443d\u0435 ", "AaBb", "x'"])
def test_the_time_is_linear_in_the_length(unit):
    def spent(length):
        text = (unit * length)[:length]
        started = time.process_time()
        read(text, Known())
        return time.process_time() - started

    assert min(spent(10_000) for _ in range(3)) < 40 * min(spent(1_000) for _ in range(3)) + 0.05
