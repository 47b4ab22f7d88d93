"""What is committed: no address of a registry, no path of one machine, notebooks fit to run, one version."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import tomllib

import pytest

import posegen

# Put together from pieces, so that this file passes its own test.
INDEX_OPTIONS = re.compile(
    "--(extra-)?" + "index-url|--find" + "-links|--trusted" + '-host|registry = "' + "http"
)
INDEX_HOSTS = re.compile(
    r"\b(pypi\.org|" + r"pythonhosted\.org|" + r"registry\.npmjs\.org|" + r"deb\.debian\.org)"
)
MACHINE_PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(" + r"work|root|home/[a-z]+|Users/[A-Za-z]+)/", re.MULTILINE)


def committed(root, *patterns):
    """Return the files that git keeps, or all but hidden ones where this is no git checkout."""
    if shutil.which("git") and (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "--", *patterns]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return [root / name for name in names if name and (root / name).is_file()]
    folders = ("posegen", "tests", "notebooks", "parameters")
    found = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def text_of(path):
    """Return a file's text, empty for a binary one."""
    data = path.read_bytes()
    return "" if b"\0" in data[:8192] else data.decode("utf-8")


@pytest.fixture(scope="module")
def texts(project_root):
    return {str(path.relative_to(project_root)): text_of(path) for path in committed(project_root)}


@pytest.fixture(scope="module")
def notebooks(project_root):
    return {
        path.name: json.loads(path.read_text("utf-8"))
        for path in (project_root / "notebooks").glob("*.ipynb")
    }


@pytest.fixture(scope="module")
def tested_notebooks(project_root):
    return {
        path.name: json.loads(path.read_text("utf-8")) for path in (project_root / "tests").rglob("*.ipynb")
    }


@pytest.mark.parametrize(
    "pattern", [INDEX_OPTIONS, INDEX_HOSTS, MACHINE_PATHS], ids=["options", "hosts", "paths"]
)
def test_no_committed_file_names_a_registry_or_a_machine(texts, pattern):
    assert texts
    assert [name for name, text in texts.items() if pattern.search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (INDEX_OPTIONS, "--extra" + "-index-url x"),
        (INDEX_HOSTS, "https://files.python" + "hosted.org/x"),
        (MACHINE_PATHS, "see /" + "work/main/x"),
        (MACHINE_PATHS, "/" + "home/somebody/x"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, text):
    assert pattern.search(text)


@pytest.mark.parametrize("text", ["docs/work/x", "a/home/x", "https://example.com/root/x", "./work/x"])
def test_the_path_pattern_leaves_addresses_and_relative_paths(text):
    assert not MACHINE_PATHS.search(text)


def test_no_bytecode_or_output_is_committed(texts):
    kept = {"outputs/.gitkeep"}
    bad = re.compile(r"(^|/)(__pycache__|\.ipynb_checkpoints|outputs|\.venv)/|\.py[co]$")
    assert [name for name in texts if bad.search(name) and name not in kept] == []


def test_notebooks_have_one_parameters_cell(notebooks):
    def count(notebook):
        return sum("parameters" in cell["metadata"].get("tags", []) for cell in notebook["cells"])

    assert {name: count(notebook) for name, notebook in notebooks.items()} == dict.fromkeys(notebooks, 1)


def test_notebooks_are_committed_without_outputs(notebooks):
    run = [
        name
        for name, notebook in notebooks.items()
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None)
    ]
    assert run == []


def test_notebooks_call_the_package_and_define_nothing(notebooks):
    sources = {
        name: "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
        for name, notebook in notebooks.items()
    }
    assert [
        name
        for name, source in sources.items()
        if re.search(r"^\s*(async )?(def|class) ", source, re.MULTILINE)
    ] == []


def test_notebook_cells_are_short(notebooks):
    long = [
        (name, "".join(cell["source"]).splitlines()[0])
        for name, notebook in notebooks.items()
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        and "parameters" not in cell["metadata"].get("tags", [])
        and len("".join(cell["source"]).splitlines()) >= 15
    ]
    assert long == []


def test_notebooks_below_tests_keep_outputs_to_compare(tested_notebooks):
    """Nbval passes a notebook without outputs, whatever its cells print."""
    empty = [
        name
        for name, notebook in tested_notebooks.items()
        if not any(cell.get("outputs") for cell in notebook["cells"])
    ]
    assert empty == []


def test_version_is_the_same_everywhere(project_root):
    declared = tomllib.loads((project_root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert posegen.__version__ == declared
    assert importlib.metadata.version("posegen") == declared, "`make install` brings the metadata up to date"


def test_changelog_has_the_version_or_unreleased_changes(project_root):
    headings = re.findall(
        r"^## \[([^\]]+)\]", (project_root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings[0] == "Unreleased"
    assert headings[1:] == sorted(
        headings[1:], key=lambda v: [int(part) for part in v.split(".")], reverse=True
    )
    # The first version is written down when it is released; every later one must be there.
    assert posegen.__version__ in headings[1:] or headings[1:] == []


def test_package_ships_its_data_and_its_types(project_root):
    patterns = ["*.js", "*.css", "*.json", "*.npz", "*.sql", "py.typed"]
    if not shutil.which("git"):
        pytest.skip("git says what it ignores")
    wanted = {path for pattern in patterns for path in (project_root / "posegen").rglob(pattern)}
    ignored = subprocess.run(
        ["git", "-C", str(project_root), "check-ignore", "--no-index", "--", *map(str, sorted(wanted))],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    assert project_root / "posegen" / "py.typed" in wanted
    assert ignored == [], "the build leaves out what git ignores"
