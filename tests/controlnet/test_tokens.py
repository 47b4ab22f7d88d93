import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.controlnet.tokens import token_bound

# True counts of FLUX.1's tokenizer, measured by benchmarks/measure_t5_counts.py.
VECTORS = json.loads(Path(__file__).with_name("t5_vectors.json").read_text("ascii"))


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_bound_is_never_below_the_true_count(vector):
    assert token_bound(vector["text"]) >= vector["tokens"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] == "ordinary"], ids=str)
def test_the_bound_of_ordinary_english_is_close_to_the_true_count(vector):
    assert token_bound(vector["text"]) <= 1.15 * vector["tokens"]


def test_the_vectors_hold_both_kinds():
    kinds = [vector["kind"] for vector in VECTORS]
    assert kinds.count("ordinary") >= 15
    assert kinds.count("hard") >= 40


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("", 1),
        (" \t\r\n", 1),
        ("woman", 2),
        ("Woman", 2),
        ("WOMAN", 7),  # capitals are not in the table: five letters, the mark, the closing token
        ("woman, woman", 4),
        ("xqzj", 6),
        ("日本", 4),
        ("ﷺ", 20),  # NFKC writes it out in 18 characters
        ("…", 5),
        ("<pad>", 7),
        ("x" * 100, 102),
    ],
)
def test_the_bound_of_single_words(text, bound):
    assert token_bound(text) == bound


def test_a_word_made_of_known_parts_costs_less_than_its_letters():
    assert token_bound("houseplants") < len("houseplants")


@given(st.text(max_size=60))
def test_any_text_has_a_bound_of_at_least_its_words(text):
    bound = token_bound(text)
    assert 1 + len(text.encode("ascii", "ignore").split()) <= bound or not text.isascii()
    assert bound >= 1


@given(st.lists(st.sampled_from(["a woman", "xqz", "日本", "it's", "<", " "]), max_size=8))
def test_bounds_of_words_add_up(parts):
    assert token_bound(" ".join(parts)) == 1 + sum(token_bound(part) - 1 for part in parts)
