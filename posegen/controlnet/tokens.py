"""An upper bound on a text's T5 tokens, without T5's tokenizer.

FLUX and SD3 read prompts through T5 v1.1, which takes 512 tokens and drops the rest without a word. Its
tokenizer (SentencePiece, unigram, 32,000 pieces) is neither shipped nor downloaded; this module bounds its
count instead. (FLUX's other encoder, CLIP, takes 77 tokens, but only its pooled vector is used: a longer
prompt loses little there, so it sets no limit here.)

Why the bound holds
-------------------
1. SentencePiece puts a mark in place of white space and before the text. No piece holds that mark anywhere
   but at its front, so the count of a text is the sum of the counts of its words, each with its mark.
2. No piece holds both a letter and an ASCII or typographic punctuation mark or digit. Since the best
   segmentation maximises a sum over pieces, it decomposes at every such border: a word's count is the sum of
   the counts of its runs of letters and of other characters.
3. A run is never cut finer than one piece per character (unknown ones too: there is no byte fallback), and
   one for the mark.
4. `data/t5_counts.txt` holds the true counts of frequent English words, as runs.
5. For a run that is not in it but joins two parts, at most one piece crosses the joint, and what is left of
   it and right of it is cut as it would be alone. So the count is at most that of the two parts, or one more
   than the most any proper prefix of the first and any proper suffix of the second takes. The table holds
   those, too; a part that it lacks takes (3).
6. A word with any other character is bounded as a whole by (3), over its longest Unicode normal form,
   because the tokenizer normalises (NFKC) first; so is a word with "<", which might spell a special token.
7. One closing token is always added.

`benchmarks/measure_t5_counts.py` makes the table, and checks (1) and (2) on every piece, given the real
tokenizer.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

T5_MAX_TOKENS = 512
"""Tokens T5 takes in FLUX.1 (diffusers `FluxPipeline`: max_sequence_length=512)."""

_LONGEST_JOINED = 40
"""Letters of the longest run that is looked at as two joined parts."""

_SPACE = re.compile(r"[ \t\n\f\r]+")
_RUN = re.compile(r"[A-Za-z]+|[^A-Za-z]+")
_PLAIN = re.compile(r"[!-;=-~‘’“”–—…]+")
"""A word of ASCII (but "<") and the typographic marks that no T5 piece joins to a letter."""


class RunCounts(NamedTuple):
    """T5 pieces of a run of letters by where it stands, and the most of its proper prefixes or suffixes."""

    opening: int
    opening_prefix: int
    capitalised: int
    capitalised_prefix: int
    inside: int
    inside_prefix: int
    inside_suffix: int


def token_bound(text: str) -> int:
    """Return a number that T5's token count of `text` never exceeds, the closing token included.

    Parameters
    ----------
    text : str
        Any text; the empty one gives 1.

    Returns
    -------
    int
        Exact for most ordinary English; at most two more than the number of characters (in the longest
        Unicode normal form) for anything else.

    Examples
    --------
    >>> token_bound("A photo of a woman, standing.")  # T5: A|photo|of|_|a|woman|,|standing|.|</s>
    10
    """
    return 1 + sum(_word_bound(word) for word in _SPACE.split(text) if word)


@lru_cache(maxsize=8192)
def _word_bound(word: str) -> int:
    if not _PLAIN.fullmatch(word):
        longest = max(len(word), *(len(unicodedata.normalize(form, word)) for form in ("NFKC", "NFKD")))
        return longest + 1
    return sum(_run_bound(run.group(), opens=run.start() == 0) for run in _RUN.finditer(word))


def _run_bound(run: str, *, opens: bool) -> int:
    if not run.isalpha():
        return len(run.replace("…", "...")) + opens  # NFKC spells the ellipsis out
    whole, _ = _head_bound(run, opens=opens)
    if run.lower() in _table() or len(run) > _LONGEST_JOINED:
        return whole
    return min(whole, *(_joined_bound(run[:at], run[at:], opens=opens) for at in range(1, len(run))), whole)


def _joined_bound(head: str, tail: str, *, opens: bool) -> int:
    head_count, head_prefix = _head_bound(head, opens=opens)
    known = _table().get(tail)
    tail_count, tail_suffix = (known.inside, known.inside_suffix) if known else (len(tail), len(tail) - 1)
    return max(head_count + tail_count, head_prefix + 1 + tail_suffix)


def _head_bound(run: str, *, opens: bool) -> tuple[int, int]:
    """Return a bound of a run's count, and one of the count of any proper prefix of it."""
    known = _table().get(run.lower())
    if known is not None and run.islower():
        return (known.opening, known.opening_prefix) if opens else (known.inside, known.inside_prefix)
    if known is not None and opens and run == run.capitalize():
        return known.capitalised, known.capitalised_prefix
    return len(run) + opens, len(run) - 1 + opens


@lru_cache(maxsize=1)
def _table() -> dict[str, RunCounts]:
    """Read the shipped counts: each line is seven digits, then the words they hold for."""
    text = resources.files("posegen.controlnet").joinpath("data/t5_counts.txt").read_text(encoding="ascii")
    table: dict[str, RunCounts] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            digits, *words = line.split()
            counts = RunCounts(*map(int, digits))
            table.update(dict.fromkeys(words, counts))
    return table
