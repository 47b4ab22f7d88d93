"""Prompt screening: a keyword filter, which knows words and not what they mean; see docs/moderation.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from posegen.errors import InappropriatePromptError
from posegen.moderation.lexicon import Finder, Hit, Phrase, Role, hidden
from posegen.moderation.text import read
from posegen.moderation.vocabulary import Vocabulary
from posegen.moderation.wordlists import ALLOW, CATEGORIES, WordLists, builtin, with_file
from posegen.telemetry import logger

log = logger("moderation")

REMEMBERED = 4096
"""Verdicts kept: the images of a run mostly share their words."""


@dataclass(frozen=True)
class Finding:
    """Why a prompt is refused.

    Attributes
    ----------
    category : {"minors", "sexual", "hate", "violence"}
    term : str
        The list's entry that was found: for the operator's log, not for whoever wrote the prompt.
    """

    category: str
    term: str


class PromptScreen:
    """Finds refused words in prompts; keeps no state but its verdicts.

    Parameters
    ----------
    lists : WordLists
    """

    def __init__(self, lists: WordLists) -> None:
        self._lists = lists
        self._pairs = [(name, pair) for name in CATEGORIES for pair in lists.pairs[name]]
        roles: dict[Role, tuple[Phrase, ...]] = {ALLOW: lists.allowed}
        roles.update(lists.terms)
        for number, (_, pair) in enumerate(self._pairs):
            roles |= {(number, "first"): pair.first, (number, "second"): pair.second}
        self._finder = Finder(roles)
        every = (phrase for name in CATEGORIES for phrase in lists.every(name))
        self._vocabulary = Vocabulary(every, lists.glue)
        self._verdict = lru_cache(maxsize=REMEMBERED)(self._find)

    @property
    def size(self) -> int:
        """How many phrases are refused by themselves."""
        return sum(len(phrases) for phrases in self._lists.terms.values())

    def check(self, *texts: str) -> None:
        """Return if nothing is found in what a user typed, all of it read together.

        Raises
        ------
        InappropriatePromptError
            Names the category and not the list.
        """
        finding = self.find_in(*texts)
        if finding is not None:
            log.info("prompt refused: %s", finding.category, term=finding.term)
            raise InappropriatePromptError(finding.category)

    def find_in(self, *texts: str) -> Finding | None:
        """Return why several texts, read together, are refused, or None."""
        return self.find("\n".join(text for text in texts if text))

    def find(self, text: str) -> Finding | None:
        """Return why `text` is refused, or None. The same text always gives the same answer."""
        return self._verdict(text)

    def _find(self, text: str) -> Finding | None:
        words = read(text, self._vocabulary)
        found = self._finder.find(words)
        covered = [False] * len(words.edges)
        for _, (start, end) in found.pop(ALLOW, ()):
            covered[start:end] = [True] * (end - start)
        seen = {role: [hit for hit in hits if not hidden(hit[1], covered)] for role, hits in found.items()}
        return next((found for name in CATEGORIES for found in self._of_category(name, seen)), None)

    def _of_category(self, category: str, seen: Mapping[Role, Sequence[Hit]]) -> Iterator[Finding]:
        for phrase, _ in seen.get(category, ()):
            yield Finding(category, phrase.text)
        for number, (name, pair) in enumerate(self._pairs):
            before, after = seen.get((number, "first"), ()), seen.get((number, "second"), ())
            stands = pair.stands(before, after) if name == category and before and after else None
            if stands is not None:
                yield Finding(category, stands)


def open_prompt_screen(terms: Path | None = None) -> PromptScreen:
    """Return the screen with the built-in lists and a user's own.

    Parameters
    ----------
    terms : Path, optional
        File of further terms.

    Raises
    ------
    ParameterError
        The file cannot be read, or what is in it is wrong; names it.
    """
    return _builtin() if terms is None else PromptScreen(with_file(builtin(), terms))


@lru_cache(maxsize=1)
def _builtin() -> PromptScreen:
    return PromptScreen(builtin())
