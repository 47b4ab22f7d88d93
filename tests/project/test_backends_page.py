"""What docs/backends.md says of options and defaults is what the code does."""

import pytest
import yaml

from posegen.backends import get_backend


@pytest.mark.parametrize("name", ["fal", "huggingface"])
def test_every_option_stands_in_the_table_of_its_backend(project_root, name):
    text = (project_root / "docs/backends.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    fields = get_backend(name).options_type.model_fields
    assert set(told) == set(fields)
    written = {key: field.default for key, field in fields.items() if field.default is not None}
    assert {key: yaml.safe_load(told[key]) for key in written} == written
