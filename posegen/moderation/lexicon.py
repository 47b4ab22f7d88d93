"""The words that are looked for: phrases of alternatives, and pairs that only together say it.

A phrase is words with spaces between. A word stands for itself and its plural; `=word` for itself alone,
`word~` also for a verb's other forms, `word*` for whatever begins so; `a|b` is either, `word?` may be
missing, `<name>` is a set of the data file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from posegen.moderation.text import Words, fold

Span = tuple[int, int]

LONGEST_PHRASE = 20
"""Places that a phrase spans at most, words spelt out letter by letter counted by letter."""
MOST_NEIGHBOURS = 200
"""Phrases looked at around one of a pair, so that no text takes quadratic time."""


@dataclass(frozen=True)
class Slot:
    """One word of a phrase."""

    words: frozenset[str]
    prefixes: tuple[str, ...] = ()
    optional: bool = False

    def fits(self, forms: frozenset[str]) -> bool:
        """Return whether a word with these readings may stand here."""
        if not self.words.isdisjoint(forms):
            return True
        return bool(self.prefixes) and any(form.startswith(self.prefixes) for form in forms)


@dataclass(frozen=True)
class Phrase:
    """Words in a row, as `text` writes them."""

    text: str
    slots: tuple[Slot, ...]

    def ends(self, words: Words, start: int, slot: int = 0) -> Iterator[int]:
        """Yield the places after the phrase, if it stands at `start`."""
        if slot == len(self.slots):
            yield start
            return
        wanted = self.slots[slot]
        if wanted.optional:
            yield from self.ends(words, start, slot + 1)
        if start < len(words.edges):
            for forms, after in words.edges[start]:
                if wanted.fits(forms):
                    yield from self.ends(words, after, slot + 1)


def parse_phrase(text: str, sets: Mapping[str, Sequence[str]]) -> Phrase:
    """Return the phrase that `text` writes.

    Raises
    ------
    ValueError
        It is empty, begins with a word that may be missing, or names a set that is not there.
    """
    slots = tuple(_slot(word, sets) for word in fold(text).casefold().split())
    if not slots or slots[0].optional:
        raise ValueError(f"{text!r} has no word that must be there at its beginning")
    return Phrase(text, slots)


def _slot(word: str, sets: Mapping[str, Sequence[str]]) -> Slot:
    optional = word.endswith("?")
    words: set[str] = set()
    prefixes: set[str] = set()
    for choice in word.removesuffix("?").split("|"):
        for each in sets[choice[1:-1]] if choice.startswith("<") else (choice,):
            if each.endswith("*"):
                prefixes.add(_letters(each[:-1]))
            elif each.startswith("="):
                words.add(_letters(each[1:]))
            elif each.endswith("~"):
                words.update(_verb_forms(_letters(each[:-1])))
            else:
                words.update(_numbers(_letters(each)))
    return Slot(frozenset(words), tuple(sorted(prefixes)), optional)


def _letters(word: str) -> str:
    if not word.isalnum():
        raise ValueError(f"{word!r} is not a word of letters and digits")
    return word


def _numbers(word: str) -> Iterator[str]:
    """Yield a noun and its plural."""
    yield word
    if word.endswith(("s", "x", "ch", "sh")):
        yield word + "es"
    elif word.endswith("y") and word[-2:-1] not in "aeiou":
        yield word[:-1] + "ies"
    else:
        yield word + "s"


def _verb_forms(word: str) -> Iterator[str]:
    """Yield a regular verb's forms, with and without its last consonant doubled."""
    yield from _numbers(word)
    if word.endswith("e"):
        yield from (word + "d", word[:-1] + "ing")
    elif word.endswith("y") and word[-2:-1] not in "aeiou":
        yield from (word[:-1] + "ied", word + "ing")
    else:
        yield from (word + "ed", word + "ing", word + word[-1] + "ed", word + word[-1] + "ing")


Hit = tuple[Phrase, Span]
Role = Hashable


class Finder:
    """Finds many phrases in a text at once.

    Parameters
    ----------
    phrases : mapping of role to iterable of Phrase
        What is found is told apart by its role.
    """

    def __init__(self, phrases: Mapping[Role, Iterable[Phrase]]) -> None:
        self._by_word: dict[str, list[tuple[Role, Phrase]]] = defaultdict(list)
        self._by_prefix: dict[str, list[tuple[Role, Phrase]]] = defaultdict(list)
        for role, group in phrases.items():
            for phrase in group:
                for word in phrase.slots[0].words:
                    self._by_word[word].append((role, phrase))
                for prefix in phrase.slots[0].prefixes:
                    self._by_prefix[prefix].append((role, phrase))
        self._lengths = tuple(sorted({len(prefix) for prefix in self._by_prefix}))

    def find(self, words: Words) -> dict[Role, list[Hit]]:
        """Return by role each phrase found and its places, in the text's order."""
        found: dict[Role, list[Hit]] = defaultdict(list)
        for start, edges in enumerate(words.edges):
            beginning = {
                (role, phrase.text): phrase
                for forms, _ in edges
                for form in forms
                for role, phrase in self._beginning_with(form)
            }
            for (role, _), phrase in beginning.items():
                found[role].extend((phrase, (start, end)) for end in set(phrase.ends(words, start)))
        return found

    def _beginning_with(self, form: str) -> Iterator[tuple[Role, Phrase]]:
        yield from self._by_word.get(form, ())
        for length in self._lengths:
            if length > len(form):
                return
            yield from self._by_prefix.get(form[:length], ())


@dataclass(frozen=True)
class Pair:
    """Two groups of phrases that say it only together: one of each at most `within` words apart."""

    first: tuple[Phrase, ...]
    second: tuple[Phrase, ...]
    within: int

    def stands(self, before: Sequence[Hit], after: Sequence[Hit]) -> str | None:
        """Return how the pair stands in the text, or None.

        Parameters
        ----------
        before, after : sequence of (Phrase, places)
            What was found of each group, in the text's order.
        """
        starts = [start for _, (start, _) in after]
        for one, (start, end) in before:
            nearest = bisect_left(starts, start - self.within - LONGEST_PHRASE)
            for other, (second_start, second_end) in after[nearest : nearest + MOST_NEIGHBOURS]:
                if max(second_start - end, start - second_end) <= self.within:
                    return f"{one.text} + {other.text}"
        return None


def hidden(span: Span, covered: Sequence[bool]) -> bool:
    """Return whether a word of the span belongs to an innocent phrase."""
    return any(covered[span[0] : span[1]])
