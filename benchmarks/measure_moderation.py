"""Recall and false alarms of prompt screening on the fixed prompts of tests/moderation.

Run by hand: `python benchmarks/measure_moderation.py`; `--misses` names what the tuning half gets wrong,
`--held-out` what the other half and the hard prompts do. Prints the table of docs/moderation.md.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from posegen.moderation import open_prompt_screen

PROMPTS = Path(__file__).resolve().parents[1] / "tests/moderation/prompts.yaml"
HARD = PROMPTS.with_name("hard_prompts.yaml")


@dataclass(frozen=True)
class Prompt:
    """One prompt: `category` is None for an innocent one, `kind` its evasion or its subject."""

    text: str
    category: str | None
    kind: str

    @property
    def held_out(self) -> bool:
        """Whether it was set aside before the word lists were made; its hash decides."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 2 == 1


def read_prompts(path: Path = PROMPTS) -> list[Prompt]:
    return list(_read(yaml.safe_load(path.read_text(encoding="utf-8"))))


def _read(content: dict) -> Iterator[Prompt]:
    for category, kinds in content["bad"].items():
        for kind, texts in kinds.items():
            yield from (Prompt(text, category, kind) for text in texts)
    for kind, texts in content["innocent"].items():
        yield from (Prompt(text, None, kind) for text in texts)


def share(prompts: Sequence[Prompt]) -> tuple[int, int]:
    """Return how many of `prompts` are refused, and how many there are."""
    screen = open_prompt_screen()
    return sum(screen.find(prompt.text) is not None for prompt in prompts), len(prompts)


def cell(counts: tuple[int, int]) -> str:
    refused, of = counts
    return f"{refused} of {of} ({refused / of:.1%})" if of else "-"


def table(prompts: Sequence[Prompt], hard: Sequence[Prompt]) -> Iterator[str]:
    yield "| | tuning half | held-out half | hard prompts |"
    yield "|---|---|---|---|"
    columns = ([p for p in prompts if not p.held_out], [p for p in prompts if p.held_out], list(hard))
    for name, chosen in ROWS.items():
        cells = [cell(share([p for p in column if chosen(p)])) for column in columns]
        yield f"| {name} | {' | '.join(cells)} |"


PLAIN = ("plain", "inflected", "synonyms")
ROWS: dict[str, Callable[[Prompt], bool]] = {
    "sexual, refused": lambda p: p.category == "sexual",
    "minors, refused": lambda p: p.category == "minors",
    "violence, refused": lambda p: p.category == "violence",
    "hate, refused": lambda p: p.category == "hate",
    "plain wording, refused": lambda p: p.category is not None and p.kind in PLAIN,
    "disguised, refused": lambda p: p.category is not None and p.kind not in PLAIN,
    "**recall**": lambda p: p.category is not None,
    "**false alarms**": lambda p: p.category is None,
}


def wrong(prompts: Sequence[Prompt]) -> Iterator[str]:
    """Yield a line for each prompt that is judged wrongly, or refused under another category."""
    for prompt in prompts:
        found = open_prompt_screen().find(prompt.text)
        category = found.category if found else None
        if category != prompt.category:
            yield f"{prompt.category} -> {category} {found.term if found else ''!r}: {prompt.text!r}"


def timing(prompts: Sequence[Prompt]) -> str:
    spent = [taken_ms(prompt.text) for prompt in prompts]
    long = "a woman standing in a studio, soft light, " * 240
    usual = f"median {statistics.median(spent):.3f} ms, worst {max(spent):.3f} ms"
    return f"{usual}; {len(long):,} characters {taken_ms(long):.1f} ms"


def taken_ms(text: str) -> float:
    """Return the processor time of a verdict, the best of three: other processes count for nothing."""
    times = []
    for _ in range(3):
        started = time.process_time()
        open_prompt_screen()._find(text)  # noqa: SLF001  (not the remembered verdict)
        times.append((time.process_time() - started) * 1000)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true", help="name what the tuning half gets wrong")
    parser.add_argument("--held-out", action="store_true", help="name what the rest gets wrong")
    options = parser.parse_args()
    prompts = read_prompts()
    hard = read_prompts(HARD)
    print("\n".join(table(prompts, hard)))
    print(f"\na prompt: {timing(prompts)}")
    if options.misses:
        print("\n".join(wrong([prompt for prompt in prompts if not prompt.held_out])))
    if options.held_out:
        print("\n".join(wrong([*(prompt for prompt in prompts if prompt.held_out), *hard])))


if __name__ == "__main__":
    main()
