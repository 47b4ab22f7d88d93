"""What docs/metrics.md says of the views is what they are, and its SQL runs."""

import re

import pytest

from posegen.metrics import REPORTS, connect
from posegen.metrics.experiment_views import EXPERIMENTS
from posegen.metrics.queries import read_sql
from posegen.metrics.rows import BESIDE, TABLES


@pytest.fixture
def page(project_root):
    return (project_root / "docs/metrics.md").read_text(encoding="utf-8")


@pytest.fixture
def connection(tmp_path):
    with connect(tmp_path) as connection:
        yield connection


@pytest.mark.parametrize("view", [*TABLES, *BESIDE, *EXPERIMENTS])
def test_every_column_is_listed(page, connection, view):
    (line,) = re.findall(rf"^\| `{view}` \| [^|]* \| ([^|]*) \|$", page, re.MULTILINE)
    listed = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", line))
    assert listed == [row[0] for row in connection.execute(f"DESCRIBE {view}").fetchall()]


def test_the_examples_run(page, connection):
    examples = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    statements = [one for block in examples for one in block.split(";") if one.strip()]
    assert len(statements) >= 3
    assert [connection.execute(one).fetchall() for one in statements] == [[] for _ in statements]


@pytest.mark.parametrize("name", REPORTS)
def test_every_column_of_a_report_is_listed(page, connection, name):
    (line,) = re.findall(rf"^\| `{name}` \| (.*) \|$", page, re.MULTILINE)
    listed = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", line))
    text = read_sql(name)
    values = dict.fromkeys(re.findall(r"\$(\w+)", text))
    assert listed == [column[0] for column in connection.execute(text, values).description]
