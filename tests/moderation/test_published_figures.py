"""docs/moderation.md prints what benchmarks/measure_moderation.py measures."""

import runpy
import sys

import pytest


@pytest.fixture(scope="module")
def measure(project_root):
    name = "measure_moderation"
    module = runpy.run_path(str(project_root / f"benchmarks/{name}.py"), run_name=name)
    yield module
    sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def prompts(measure):
    return measure["read_prompts"](), measure["read_prompts"](measure["HARD"])


def test_the_table_in_the_docs_is_what_is_measured(measure, prompts, project_root):
    text = (project_root / "docs/moderation.md").read_text(encoding="utf-8")
    missing = [row for row in measure["table"](*prompts) if row not in text]
    assert missing == []


def test_the_fixed_prompts_are_many_and_none_comes_twice(prompts):
    fixed, hard = prompts
    texts = [prompt.text for prompt in (*fixed, *hard)]
    assert len(texts) == len(set(texts))
    assert sum(prompt.category is not None for prompt in fixed) >= 150
    assert sum(prompt.category is None for prompt in fixed) >= 300
    for held_out in (False, True):
        half = {prompt.category for prompt in fixed if prompt.held_out is held_out}
        assert half == {"sexual", "minors", "violence", "hate", None}


def test_the_bounds_hold_on_both_halves(measure, prompts):
    for held_out in (False, True):
        half = [prompt for prompt in prompts[0] if prompt.held_out is held_out]
        refused, bad = measure["share"]([prompt for prompt in half if prompt.category])
        alarms, innocent = measure["share"]([prompt for prompt in half if not prompt.category])
        assert refused / bad >= 0.95
        assert alarms / innocent <= 0.02
