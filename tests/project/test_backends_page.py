"""What docs/backends.md says of options and defaults is what the code does."""

import pytest

from posegen.backends import get_backend


@pytest.mark.parametrize("name", ["fal", "huggingface"])
def test_every_option_stands_in_the_table_of_its_backend(project_root, name):
    text = (project_root / "docs/backends.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    fields = get_backend(name).options_type.model_fields
    assert set(told) == set(fields)
    plain = {key: field.default for key, field in fields.items() if field.default is not None}
    written = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in plain.items()
    }
    assert {key: told[key] for key in written} == written
