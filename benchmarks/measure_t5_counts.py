"""Measure T5's true token counts: the word table and the test vectors behind `posegen.controlnet.tokens`.

Needs the tokenizer of FLUX.1's second text encoder (`tokenizer_2/tokenizer.json`), which is not part of this
project, and the package `tokenizers`:

    python benchmarks/measure_t5_counts.py tokenizer.json                  # measure the table again
    python benchmarks/measure_t5_counts.py tokenizer.json --words new.txt  # and add those in a file
    python benchmarks/measure_t5_counts.py tokenizer.json --check          # change nothing, exit 1 if stale

It first checks on every piece of the vocabulary what the bound's proof takes for granted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "posegen/controlnet/data/t5_counts.txt"
VECTORS = ROOT / "tests/controlnet/t5_vectors.json"
HEADER = """\
# True T5 v1.1 token counts of frequent English words, measured by benchmarks/measure_t5_counts.py.
# Seven digits: the word opening a written word, and the most of any of its proper prefixes there; the same
# two for the word capitalised; the same two for the word inside another (after a hyphen, a quote, a prefix
# ...); and the most of any of its proper suffixes inside another.
"""
MARK = "\u2581"
LINE_LENGTH = 110


def check_premises(pieces: list[str]) -> None:
    """Raise AssertionError if a piece breaks what `posegen.controlnet.tokens` builds on."""
    spanning = re.compile("[A-Za-z][!-@\\[-`{-~‘’“”–—…]|[!-@\\[-`{-~‘’“”–—…][A-Za-z]")
    for piece in pieces:
        if re.fullmatch(r"<extra_id_\d+>", piece):
            continue  # a special token, matched before the pieces; the bound treats "<" apart
        assert MARK not in piece[1:], f"the mark inside a piece: {piece!r}"
        assert not spanning.search(piece), f"a letter joined to another mark: {piece!r}"


def count(tokenizer: Any, text: str) -> int:
    """Return the tokens of a text, the closing one included."""
    return len(tokenizer.encode(text).ids)


def run_digits(tokenizer: Any, word: str) -> str | None:
    """Return the digits of the table for a lower-case word; None if one count needs two."""
    prefixes = [word[:length] for length in range(1, len(word))]
    suffixes = [word[start:] for start in range(1, len(word))]
    # A quote keeps the mark of the word's beginning to itself, so that what follows is counted as inside a
    # word.
    texts = [word, *prefixes, word.capitalize(), *(prefix.capitalize() for prefix in prefixes)]
    texts += [f'"{run}' for run in (word, *prefixes, *suffixes)]
    counts = [len(encoding.ids) - 1 - text.startswith('"') for encoding, text in
              zip(tokenizer.encode_batch(texts), texts, strict=True)]  # fmt: skip
    size = len(word)
    digits = []
    for context in range(3):
        whole, *parts = counts[context * size : (context + 1) * size]
        # The empty prefix leaves the mark alone where there is one.
        digits += [whole, max(parts, default=int(context < 2))]
    digits.append(max(counts[3 * size :], default=0))
    return "".join(map(str, digits)) if max(digits) <= 9 else None


def table_text(tokenizer: Any, words: set[str]) -> str:
    """Return the table: words by their counts, in alphabetical order, in short lines."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        if digits := run_digits(tokenizer, word):
            groups[digits].append(word)
    lines = []
    for digits, members in sorted(groups.items()):
        line = digits
        for word in members:
            if len(line) + 1 + len(word) > LINE_LENGTH:
                lines.append(line)
                line = digits
            line += f" {word}"
        lines.append(line)
    return HEADER + "\n".join(lines) + "\n"


def vectors_text(tokenizer: Any, vectors: list[dict[str, Any]]) -> str:
    """Return the test vectors with their counts measured."""
    measured = [{**vector, "tokens": count(tokenizer, vector["text"])} for vector in vectors]
    rows = ",\n".join(json.dumps(vector) for vector in measured)
    return f"[\n{rows}\n]\n"


def main() -> int:
    """Measure, and write or compare."""
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--words", type=Path, help="a file of words to add")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    check_premises([piece for piece, number in tokenizer.get_vocab(False).items() if number > 2])
    old = TABLE.read_text("ascii") if TABLE.exists() else ""
    new = options.words.read_text("ascii") if options.words else ""
    known = " ".join(line for line in old.splitlines() if not line.startswith("#"))
    words = set(re.findall(r"\b[a-z]+\b", f"{known} {new}"))
    made = {TABLE: table_text(tokenizer, words)}
    if VECTORS.exists():
        made[VECTORS] = vectors_text(tokenizer, json.loads(VECTORS.read_text("ascii")))
    stale = [path for path, text in made.items() if not path.exists() or path.read_text("ascii") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'stale' if options.check else 'written'}")
        if not options.check:
            path.write_text(made[path], "ascii")
    print(f"{len(words)} words")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
