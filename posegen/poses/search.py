"""Find poses by words: best match first, forgiving of plurals, unfinished words and small misspellings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from posegen.poses.pose import CATEGORIES, Pose

_FIELD_WEIGHTS = (8.0, 5.0, 4.0, 2.0)
"""Name, tags, category, description."""
_SAME, _SAME_STEM, _PREFIX, _MISSPELT = 1.0, 0.95, 0.8, 0.6
_WHOLE_NAME = 1000.0
FILLERS = frozenset(("a", "an", "and", "at", "for", "in", "is", "of", "on", "or", "the", "to", "with"))
_PREFIX_MIN, _MISSPELT_MIN, _MISSPELT_RATIO = 3, 4, 0.78


def search(poses: Sequence[Pose], text: str) -> list[Pose]:
    """Return the poses that match all words of `text`, best first.

    Parameters
    ----------
    poses : sequence of Pose
        Equal matches keep this order.
    text : str
        Words to find in name, id, tags, category and description; case and filler words do not matter.
        Without words everything matches.

    Returns
    -------
    list of Pose
        First the pose of that very id or name; then by where the words stand: name, tags, category,
        description.
    """
    wanted = words_of(text)
    wanted = [word for word in wanted if word not in FILLERS] or wanted
    if not wanted:
        return list(poses)
    stems = [stem(word) for word in wanted]
    fields = [_fields(pose) for pose in poses]
    vocabulary = {word for pose_fields in fields for words in pose_fields for word in words}
    spelt = [_spellings(word, vocabulary) for word in wanted]
    scored = []
    for pose, pose_fields in zip(poses, fields, strict=True):
        scores = [_score(qualities, pose_fields) for qualities in spelt]
        if all(scores):
            whole = stems in (_stems(pose.id), _stems(pose.name))
            scored.append((sum(scores) + _WHOLE_NAME * whole, pose))
    return [pose for _, pose in sorted(scored, key=lambda entry: -entry[0])]


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())


def _stems(text: str) -> list[str]:
    return [stem(word) for word in words_of(text) if word not in FILLERS]


def _fields(pose: Pose) -> tuple[set[str], ...]:
    category = f"{pose.category} {CATEGORIES.get(pose.category, '')}"
    texts = (f"{pose.name} {pose.id}", " ".join(pose.tags), category, pose.description)
    return tuple(set(words_of(text)) for text in texts)


def _spellings(word: str, vocabulary: Iterable[str]) -> dict[str, float]:
    """Return the words of the library that `word` may mean, with how well they fit."""
    fits: dict[str, float] = {}
    for known in vocabulary:
        if known == word:
            fits[known] = _SAME
        elif stem(known) == stem(word):
            fits[known] = _SAME_STEM
        elif len(word) >= _PREFIX_MIN and known.startswith(word):
            fits[known] = _PREFIX
    if not fits and len(word) >= _MISSPELT_MIN:
        close = difflib.get_close_matches(word, sorted(vocabulary), n=5, cutoff=_MISSPELT_RATIO)
        fits = dict.fromkeys(close, _MISSPELT)
    return fits


def stem(word: str) -> str:
    """Return a word without the endings of plurals and of -ing: kicks and kicking are kick."""
    if word.endswith("ing") and len(word) >= 6:
        cut = word.removesuffix("ing")
        return cut[:-1] if cut[-1] == cut[-2] and cut[-1] not in "ls" else cut.removesuffix("e")
    for ending, least in (("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) >= 4 else word


def _score(fits: dict[str, float], fields: tuple[set[str], ...]) -> float:
    best = 0.0
    for words, weight in zip(fields, _FIELD_WEIGHTS, strict=True):
        best = max([best, *(weight * fits[word] for word in words if word in fits)])
    return best
