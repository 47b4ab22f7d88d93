import pytest

from posegen.moderation.lexicon import Finder, Pair, parse_phrase
from posegen.moderation.text import read
from posegen.moderation.vocabulary import Vocabulary

SETS = {"color": ["red", "blue"]}


def phrase(text):
    return parse_phrase(text, SETS)


def found(pattern, text):
    parsed = phrase(pattern)
    words = read(text, Vocabulary([parsed], frozenset()))
    return [span for _, span in Finder({"r": [parsed]}).find(words)["r"]]


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("gun", "a gun, two guns", [(1, 2), (3, 4)]),
        ("=gun", "a gun, two guns", [(1, 2)]),
        ("body", "bodies", [(0, 1)]),
        ("torch", "torches", [(0, 1)]),
        ("kill~", "kill kills killed killing killer", [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ("stab~", "stabbed stabbing", [(0, 1), (1, 2)]),
        ("undress~", "undresses", [(0, 1)]),
        ("strangle~", "strangled strangling", [(0, 1), (1, 2)]),
        ("carry~", "carried", [(0, 1)]),
        ("porn*", "pornographic corn", [(0, 1)]),
        ("white power|pride", "white pride", [(0, 2)]),
        ("hide <color>? hat", "hide hat hide red hat", [(0, 2), (2, 5)]),
        ("red hat", "red the hat", []),
        ("red hat", "red-hat", [(0, 2)]),
        ("red hat", "hat red", []),
    ],
)
def test_a_phrase_is_found_where_it_stands(pattern, text, spans):
    assert found(pattern, text) == spans


@pytest.mark.parametrize("pattern", ["", "  ", "may? be", "a--b", "=", "*", "<color>|x-y"])
def test_a_phrase_that_says_nothing_is_refused(pattern):
    with pytest.raises(ValueError, match=r"no word|not a word"):
        phrase(pattern)


def test_a_set_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="shape"):
        phrase("<shape>")


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("red x x hat", True),
        ("hat x x red", True),
        ("red x x x hat", False),
        ("red", False),
        ("red hat", True),
    ],
)
def test_a_pair_stands_only_near_each_other(text, stands):
    first, second = phrase("red"), phrase("hat")
    pair = Pair((first,), (second,), within=2)
    finder = Finder({"a": pair.first, "b": pair.second})
    hits = finder.find(read(text, Vocabulary([first, second], frozenset())))
    assert (pair.stands(hits["a"], hits["b"]) == "red + hat") is stands


def test_glued_words_are_taken_apart_only_with_one_that_is_looked_for():
    vocabulary = Vocabulary([phrase("naked"), phrase("sex")], frozenset({"man", "photo"}))
    assert vocabulary.split(frozenset({"nakedman"})) == ["naked", "man"]
    assert vocabulary.split(frozenset({"manphoto"})) is None
    assert vocabulary.split(frozenset({"sexphoto"})) is None
    assert vocabulary.split(frozenset({"nakedness"})) is None
