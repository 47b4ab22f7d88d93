"""`posegen metrics` prints the four answers."""

import json

import pytest
from seeded_runs import PROMPT, RETRIES, seeded_runs, write_workspace

from posegen.cli import main


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    codes = (RETRIES, RETRIES, PROMPT)
    write_workspace(root, seeded_runs(seed=3, runs=20, images=60, mean_ms=40_000, failures=codes, days=10))
    return root


@pytest.fixture
def posegen(root, monkeypatch, capsys):
    """Return a function that runs a command: exit code, stdout, stderr."""
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(root))

    def run(*arguments):
        try:
            main(arguments)
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        return (code, *capsys.readouterr())

    return run


def test_system(posegen):
    code, text, _ = posegen("metrics", "system", "--json")
    assert code == 0
    assert json.loads(text) == {
        "total_generations": 20,
        "successful_generations": 17,
        "failed_generations": 3,
        "success_rate_percent": 85.0,
        "average_duration_ms": 40_000,
        "total_poses_generated": 60,
        "credits_used": 1800,
        "credits_refunded": 90,
        "refund_rate_percent": 5.0,
        "top_errors": [{"code": RETRIES, "count": 2}, {"code": PROMPT, "count": 1}],
    }
    table = posegen("metrics", "system", "--limit", "1")[1]
    assert f"{RETRIES} 2" in table
    assert PROMPT not in table


@pytest.mark.parametrize(("answer", "first"), [("users", "user"), ("poses", "pose_id"), ("errors", "kind")])
def test_tables(posegen, answer, first):
    code, text, _ = posegen("metrics", answer, "--json", "--limit", "2")
    rows = json.loads(text)
    assert (code, len(rows), next(iter(rows[0]))) == (0, 2, first)
    assert str(rows[0][first]) in posegen("metrics", answer)[1]


def test_ranges(posegen):
    def total(*options):
        return json.loads(posegen("metrics", "system", "--json", *options)[1])["total_generations"]

    early, late = total("--until", "2026-01-05"), total("--since", "2026-01-06")
    assert early > 0
    assert late > 0
    assert early + late == 20
    assert posegen("metrics", "users", "--since", "2027-01-01")[1] == "nothing in this range\n"


def test_what_is_no_date_is_said(posegen):
    code, _, said = posegen("metrics", "system", "--since", "tomorrow")
    assert code == 2
    assert "'tomorrow' is not a day" in said


def test_compact(posegen):
    before = posegen("metrics", "system")
    assert posegen("metrics", "compact")[:2] == (0, "20 runs compacted, months written: 2026-01\n")
    assert posegen("metrics", "compact")[:2] == (0, "0 runs compacted\n")
    said = json.loads(posegen("metrics", "compact", "--json")[1])
    assert said == {"runs": 0, "months": [], "removed": 0, "busy": False}
    assert posegen("metrics", "system") == before


def test_what_is_left_out_is_said_beside_the_figures(posegen, root):
    before, _, said = posegen("metrics", "system", "--json")[1], *posegen("metrics", "users")[1:]
    assert said == ""
    with next(root.glob("runs/*/journal/0001.jsonl")).open("ab") as file:
        file.write(b'nonsense\n{"event":"metric"')
    _, text, said = posegen("metrics", "system", "--json")
    assert text == before
    assert said.startswith("note: not counted: 1 torn lines, 1 foreign lines (")
