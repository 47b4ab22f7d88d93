"""A prompt as words that disguises do not hide: case, look-alike letters, digits for letters, spacing.

Every step is linear in the prompt's length. Nothing here knows which words are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_LOOKING_LIKE = {
    "a": "\u0251\u03b1\u0430\u1d00",
    "b": "\u0432",
    "c": "\u0441\u1d04",
    "d": "\u0111\u0501\u1d05",
    "e": "\u03b5\u0435\u1d07",
    "g": "\u0261\u0262",
    "h": "\u0127\u043d\u04bb\u0570",
    "i": "\u0131\u026a\u03b9\u0456",
    "j": "\u0458",
    "k": "\u03ba\u043a\u1d0b",
    "l": "\u0142\u029f",
    "m": "\u043c",
    "n": "\u0274\u03bd\u0578",
    "o": "\u00f8\u03bf\u043e\u0585\u1d0f",
    "p": "\u03c1\u0440\u1d18",
    "q": "\u051b",
    "r": "\u0280\u0491",
    "s": "\u0455",
    "t": "\u03c4\u0442\u1d1b",
    "u": "\u03c5\u057d\u1d1c",
    "v": "\u0475",
    "x": "\u03c7\u0445",
    "y": "\u0443",
}
LOOKALIKES = {foreign: latin for latin, letters in _LOOKING_LIKE.items() for foreign in letters}
"""Latin letters by what looks like them: Cyrillic, Greek, Armenian and phonetic ones."""

_UNSEEN = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Blank characters that Unicode calls letters or symbols."""

_LEET = str.maketrans("034578@$!|+", "oeastbasiit")
_LEET_L = str.maketrans("1", "l")
_LEET_I = str.maketrans("1", "i")
_LEET_SIGNS = frozenset("0134578@$!|+")

_CHUNK = re.compile(r"\S+")
_PIECE = re.compile(r"(?:[^\W_]|[@$!|+*'\u2019])+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z]{2})")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_DOUBLE_VOWEL = re.compile(r"([aeiou])\1")
_EDGE_DIGITS = re.compile(r"^\d+(?=[a-z])|(?<=[a-z])\d+$")

LONGEST_WORD = 60
"""Characters; what is longer cannot be read as a word."""
_LONGEST_SPACED = 14
"""Letters of a word that is spelt with gaps."""


@dataclass(frozen=True)
class Words:
    """A text as a lattice: what may be read from each place on, and where the next word begins.

    Attributes
    ----------
    plain : tuple of str
        The words as they stand, folded.
    edges : tuple of tuple of (forms, next place)
        By place, the readings that begin there.
    """

    plain: tuple[str, ...]
    edges: tuple[tuple[tuple[frozenset[str], int], ...], ...]


class Known(Protocol):
    """The words that are looked for: only those are put together from parts or taken apart."""

    def has(self, word: str) -> bool:
        """Return whether it is one of the words."""

    def knows(self, word: str) -> bool:
        """Return whether it is one of the words or begins as one that counts whatever its ending is."""

    def split(self, forms: frozenset[str]) -> list[str] | None:
        """Return the words that a word with these readings is glued together from, or None."""


def fold(text: str) -> str:
    """Return `text` in plain letters: compatibility forms, accents, look-alikes, unseen characters.

    >>> fold("n\u00fcd\u00e9"), fold("na\u200bked"), fold("\uff4e\uff55\uff44\uff45")
    ('nude', 'naked', 'nude')
    """
    if text.isascii():
        return text
    return "".join(_folded(unicodedata.normalize("NFKD", text)))


def _folded(text: str) -> Iterator[str]:
    for character in text:
        if character.isascii():
            yield character
            continue
        kind = unicodedata.category(character)
        if kind in {"Mn", "Me", "Cf"} or character in _UNSEEN:
            continue
        lower = character.lower()
        like = LOOKALIKES.get(lower, character)
        yield like.upper() if like is not character and character != lower else like


def read(text: str, known: Known) -> Words:
    """Return the words of `text`."""
    pieces: list[str] = []
    joins: list[tuple[int, int]] = []
    for chunk in _CHUNK.findall(fold(text)):
        start = len(pieces)
        pieces.extend(_pieces(chunk))
        joins.extend(_neighbours(start, len(pieces)))
    forms = [forms_of(piece) for piece in pieces]
    edges: list[list[tuple[frozenset[str], int]]] = [[] for _ in pieces]
    for start, end in joins:
        joined = forms_of("".join(pieces[start:end]))
        if any(known.knows(form) for form in joined):
            edges[start].append((joined, end))
    for start, end, word in _spelt_out(pieces, known):
        edges[start].append((frozenset([word]), end))
    return _lattice(forms, edges, known)


def _pieces(chunk: str) -> Iterator[str]:
    for piece in _PIECE.findall(chunk):
        yield from _CAMEL.split(piece) if not piece.islower() else (piece,)


def _neighbours(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield which pieces of one chunk may be one word: all, two or three beside each other."""
    if end - start > 3:
        yield start, min(end, start + _LONGEST_SPACED)
    for first in range(start, end):
        for last in range(first + 2, min(end, first + 3) + 1):
            yield first, last


def forms_of(piece: str) -> frozenset[str]:
    """Return what a word may be read as: itself, with digits as letters, without repeats.

    >>> sorted(forms_of("N4ked")), sorted(forms_of("nuuude")), sorted(forms_of("child's"))
    (['n4ked', 'naked'], ['nude', 'nuude', 'nuuude'], ['child', "child's", 'childs'])
    """
    word = piece[:LONGEST_WORD].casefold().replace("\u2019", "'")
    bare = word.strip("@$!|+*'")
    found = {bare.translate(_NO_SIGNS)}
    if bare.endswith("'s"):
        found.add(bare[:-2])
    if not bare.isalpha():
        found.add(_EDGE_DIGITS.sub("", bare))
    if any(letter.isalpha() for letter in word):
        found.update(_decoded(word), _decoded(bare))
        if "*" in bare:
            found.update(_uncensored(bare))
    for form in tuple(found):
        found.update(_without_repeats(form))
    found.discard("")
    return frozenset(found)


_NO_SIGNS = str.maketrans("", "", "@$!|+*'")


def _decoded(word: str) -> Iterator[str]:
    """Yield `word` with its digits and signs read as letters."""
    if _LEET_SIGNS.isdisjoint(word):
        return
    word = word.strip("*'")
    plain = word.translate(_LEET)
    yield plain.translate(_LEET_I).translate(_NO_SIGNS)
    if "1" in plain:
        yield plain.translate(_LEET_L).translate(_NO_SIGNS)


def _uncensored(word: str) -> Iterator[str]:
    """Yield `word` with a vowel for each asterisk: that is what is left out."""
    stars = word.count("*")
    if stars > 2:
        return
    found = [word]
    for _ in range(stars):
        found = [form.replace("*", vowel, 1) for form in found for vowel in "aeiou"]
    yield from found


def _without_repeats(word: str) -> Iterator[str]:
    if _LONG_RUN.search(word):
        yield _LONG_RUN.sub(r"\1", word)
        yield _LONG_RUN.sub(r"\1\1", word)
    elif _DOUBLE_VOWEL.search(word):
        yield _DOUBLE_VOWEL.sub(r"\1", word)


def _spelt_out(pieces: Sequence[str], known: Known) -> Iterator[tuple[int, int, str]]:
    """Yield the known words that stand there letter by letter, as `n u d e`, or with one letter torn off."""
    start = 0
    while start < len(pieces):
        end = start
        while end < len(pieces) and len(pieces[end]) == 1:
            end += 1
        if end - start >= 3:
            yield from _in_run(pieces, start, end, known)
        start = max(end, start + 1)
    for place in range(len(pieces) - 1):
        first, second = pieces[place].lower(), pieces[place + 1].lower()
        torn = first if len(first) == 1 else second if len(second) == 1 else ""
        if torn and torn not in "aioy" and len(first + second) > 3 and known.has(first + second):
            yield place, place + 2, first + second


def _in_run(pieces: Sequence[str], start: int, end: int, known: Known) -> Iterator[tuple[int, int, str]]:
    """Yield known words of four letters or more in a run of letters, and shorter ones that are all of it."""
    run = "".join(pieces[start:end]).lower().translate(_LEET)
    for one in {run.translate(_LEET_I), run.translate(_LEET_L)}:
        if len(one) == 3 and known.has(one):
            yield start, end, one
        for first in range(len(one) - 3):
            for last in range(first + 4, min(len(one), first + _LONGEST_SPACED) + 1):
                if known.has(one[first:last]):
                    yield start + first, start + last, one[first:last]


def _lattice(
    forms: Sequence[frozenset[str]], joined: Sequence[Sequence[tuple[frozenset[str], int]]], known: Known
) -> Words:
    """Return the lattice, with words that are glued together taken apart."""
    parts = [known.split(each) for each in forms]
    places = [0]
    for part in parts:
        places.append(places[-1] + (len(part) if part else 1))
    plain: list[str] = []
    edges: list[tuple[tuple[frozenset[str], int], ...]] = []
    for index, (form, part) in enumerate(zip(forms, parts, strict=True)):
        further = tuple((each, places[end]) for each, end in joined[index])
        whole = (form, places[index + 1])
        plain.extend(part or [min(form, key=len, default="")])
        if not part:
            edges.append((whole, *further))
            continue
        for number, word in enumerate(part):
            alone = (frozenset([word]), places[index] + number + 1)
            edges.append((alone, whole, *further) if number == 0 else (alone,))
    return Words(tuple(plain), tuple(edges))
