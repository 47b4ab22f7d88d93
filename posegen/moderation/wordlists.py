"""The word lists: those that come with posegen, and a user's own beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from posegen.errors import ParameterError, UnknownNameError
from posegen.moderation.lexicon import Pair, Phrase, parse_phrase

CATEGORIES = ("minors", "sexual", "hate", "violence")
"""In the order they are looked for: what counts as the first does not count as a later one."""

VARIABLE = "POSEGEN_MODERATION_TERMS"
ALLOW = "allow"
ANYWHERE = 1_000_000


@dataclass(frozen=True)
class WordLists:
    """What is refused, by category, and what is innocent although it looks so.

    Attributes
    ----------
    terms : mapping of str to tuple of Phrase
        Refused wherever they stand.
    pairs : mapping of str to tuple of Pair
        Refused near each other.
    allowed : tuple of Phrase
        Words in them count for nothing.
    glue : frozenset of str
        Everyday words that others are glued to, as in `nudewoman`.
    """

    terms: Mapping[str, tuple[Phrase, ...]]
    pairs: Mapping[str, tuple[Pair, ...]]
    allowed: tuple[Phrase, ...]
    glue: frozenset[str]

    def every(self, category: str) -> Iterator[Phrase]:
        """Yield every phrase of a category, also those that are refused only in pairs."""
        yield from self.terms[category]
        for pair in self.pairs[category]:
            yield from pair.first
            yield from pair.second


@lru_cache(maxsize=1)
def builtin() -> WordLists:
    """Return the lists that come with posegen."""
    sets: dict[str, list[str]] = _data("sets.yaml")
    files = {category: _data(f"{category}.yaml") for category in CATEGORIES}

    def phrases(texts: Sequence[str]) -> tuple[Phrase, ...]:
        return tuple(parse_phrase(text, sets) for text in texts)

    return WordLists(
        terms={name: phrases(file["terms"]) for name, file in files.items()},
        pairs={
            name: tuple(
                Pair(phrases(pair["first"]), phrases(pair["second"]), pair.get("within", ANYWHERE))
                for pair in file["pairs"]
            )
            for name, file in files.items()
        },
        allowed=tuple(phrase for file in files.values() for phrase in phrases(file[ALLOW])),
        glue=frozenset(sets["glue"]),
    )


def _data(name: str) -> Any:
    text = resources.files("posegen.moderation").joinpath("data", name).read_text(encoding="utf-8")
    return yaml.safe_load(text)


def with_file(lists: WordLists, path: Path) -> WordLists:
    """Return `lists` with the terms of a user's file: YAML lists by category, or lines `category: term`.

    Raises
    ------
    ParameterError
        Names the file and what is wrong in it.
    """
    try:
        given = _read_lines(path) if path.suffix == ".txt" else _read_yaml(path)
        parsed = {name: tuple(parse_phrase(term, {}) for term in terms) for name, terms in given}
    except KeyError as exc:
        raise ParameterError(VARIABLE, f"{path}: a set such as <{exc.args[0]}> cannot be used here") from exc
    except (OSError, UnicodeError, ValueError, yaml.YAMLError, UnknownNameError) as exc:
        raise ParameterError(VARIABLE, f"{path}: {exc}") from exc
    terms = {name: lists.terms[name] + parsed.get(name, ()) for name in CATEGORIES}
    return replace(lists, terms=terms, allowed=lists.allowed + parsed.get(ALLOW, ()))


def _read_yaml(path: Path) -> list[tuple[str, list[str]]]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it must hold lists by category: {', '.join((*CATEGORIES, ALLOW))}")
    for name, terms in content.items():
        _check_category(name)
        if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
            raise ValueError(f"{name} must be a list of words or phrases")
    return list(content.items())


def _read_lines(path: Path) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        category, colon, term = line.partition(":")
        if not colon:
            raise ValueError(f"line {number}: {line.strip()!r} is not `category: term`")
        _check_category(category.strip())
        found.setdefault(category.strip(), []).append(term.strip())
    return list(found.items())


def _check_category(name: object) -> None:
    if name not in (*CATEGORIES, ALLOW):
        raise UnknownNameError("category", name, (*CATEGORIES, ALLOW))
