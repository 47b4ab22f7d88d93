"""Which single words are looked for, so that only those are put together from parts or taken apart."""

from __future__ import annotations

from collections.abc import Iterable

from posegen.moderation.lexicon import Phrase

LONGEST = 14
"""Letters of a word that others are glued to."""
_MOST_PARTS = 4


class Vocabulary:
    """The words of all refused phrases.

    Parameters
    ----------
    phrases : iterable of Phrase
    glue : frozenset of str
        Everyday words that others are glued to.
    """

    def __init__(self, phrases: Iterable[Phrase], glue: frozenset[str]) -> None:
        phrases = list(phrases)
        slots = [slot for phrase in phrases for slot in phrase.slots]
        self._prefixes = frozenset(prefix for slot in slots for prefix in slot.prefixes)
        self._lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}))
        self._words = self._prefixes.union(*(slot.words for slot in slots))
        alone = [phrase.slots[0] for phrase in phrases if len(phrase.slots) == 1]
        self._heads = frozenset(word for slot in alone for word in slot.words if len(word) > 3)
        self._parts = self._heads | glue

    def has(self, word: str) -> bool:
        """Return whether it is one of the words."""
        return word in self._words

    def knows(self, word: str) -> bool:
        """Return whether it is one of the words or begins as one that counts whatever its ending is."""
        return word in self._words or any(word[:length] in self._prefixes for length in self._lengths)

    def split(self, forms: frozenset[str]) -> list[str] | None:
        """Return the words that are glued together, at least one of them one that is looked for."""
        if any(self.knows(form) for form in forms):
            return None
        for form in sorted(forms):
            if 6 < len(form) < 40 and form.isalpha():
                parts = self._segments(form, 0)
                if parts and not self._heads.isdisjoint(parts):
                    return parts
        return None

    def _segments(self, word: str, count: int) -> list[str] | None:
        if not word:
            return []
        if count == _MOST_PARTS:
            return None
        for end in range(min(len(word), LONGEST), 1, -1):
            if word[:end] in self._parts:
                rest = self._segments(word[end:], count + 1)
                if rest is not None:
                    return [word[:end], *rest]
        return None
