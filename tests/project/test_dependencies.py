"""The locks, pyproject.toml and environment.yml say the same.

The locks were resolved against the registry: a range that a pin satisfies can be resolved, so no test has to
ask.
"""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

LOCKS = (
    "requirements.lock", "requirements-dev.lock", "requirements-local.lock", "requirements-bootstrap.lock",
)  # fmt: skip
PYTHONS = ("3.11", "3.12")


@pytest.fixture(scope="module")
def pyproject(project_root):
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def environment(project_root):
    return yaml.safe_load((project_root / "environment.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def conda_requirements(environment):
    return [entry for entry in environment["dependencies"] if isinstance(entry, str)]


@pytest.fixture(scope="module")
def pip_requirements(environment):
    return next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))


def read_pins(path):
    """Return the lock's entries as (requirement, number of hashes)."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [
        (Requirement(line.partition("--hash")[0].strip()), line.count("--hash=sha256:")) for line in lines
    ]


def pins_for(path, python):
    """Return {name: version} of what the lock installs on Linux with this Python."""
    place = {
        "python_version": python,
        "python_full_version": f"{python}.7",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement, _ in read_pins(path)
        if requirement.marker is None or requirement.marker.evaluate(place)
    }


def unmet(requirements, pins):
    """Return the requirements that the pins do not satisfy, each with the pin found."""
    found = [(requirement, pins.get(canonicalize_name(requirement.name))) for requirement in requirements]
    return [
        f"{requirement} ({pin})"
        for requirement, pin in found
        if pin is None or pin not in requirement.specifier
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_has_a_hash(project_root, lock):
    pins = read_pins(project_root / lock)
    assert pins
    loose = [
        str(pin) for pin, hashes in pins if not re.fullmatch(r"==[^,*]+", str(pin.specifier)) or not hashes
    ]
    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address_and_no_option(project_root, lock):
    text = (project_root / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|^-|@ ", text, re.MULTILINE)


@pytest.mark.parametrize("python", PYTHONS)
def test_runtime_ranges_hold_in_the_lock(project_root, pyproject, python):
    requirements = [Requirement(line) for line in pyproject["project"]["dependencies"]]
    assert unmet(requirements, pins_for(project_root / "requirements.lock", python)) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_development_ranges_hold_in_the_development_lock(project_root, pyproject, python):
    lines = pyproject["project"]["dependencies"] + pyproject["project"]["optional-dependencies"]["dev"]
    pins = pins_for(project_root / "requirements-dev.lock", python)
    assert unmet([Requirement(line) for line in lines], pins) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_ranges_for_local_models_hold_in_their_lock_but_for_torch(project_root, pyproject, python):
    requirements = [Requirement(line) for line in pyproject["project"]["optional-dependencies"]["local"]]
    pins = pins_for(project_root / "requirements-local.lock", python)
    assert unmet([one for one in requirements if one.name != "torch"], pins) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_for_local_models_holds_every_development_pin(project_root, python):
    development = pins_for(project_root / "requirements-dev.lock", python)
    local = pins_for(project_root / "requirements-local.lock", python)
    assert development.items() <= local.items()


def test_lock_for_local_models_leaves_the_build_of_torch_open(project_root):
    """A name found here is new in torch's dependencies: TORCH_BUILD in the Makefile lacks it."""
    names = [requirement.name for requirement, _ in read_pins(project_root / "requirements-local.lock")]
    assert "sympy" in names
    assert [name for name in names if re.match(r"torch$|triton|nvidia|cuda", name)] == []


def test_torch_that_is_tested_is_within_the_range(project_root, pyproject):
    pin = re.search(
        r"^TORCH \?= (.+)$", (project_root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    version = str(Requirement(pin.group(1)).specifier).removeprefix("==")
    lines = pyproject["project"]["optional-dependencies"]["local"]
    torch = next(one for one in map(Requirement, lines) if one.name == "torch")
    assert version in torch.specifier


@pytest.mark.parametrize("group", ["build", "bootstrap"])
def test_group_ranges_hold_in_their_lock(project_root, pyproject, group):
    lock = {"build": "requirements.lock", "bootstrap": "requirements-bootstrap.lock"}[group]
    requirements = [Requirement(line) for line in pyproject["dependency-groups"][group]]
    assert unmet(requirements, pins_for(project_root / lock, "3.11")) == []


def test_build_group_covers_the_build_backend(pyproject):
    assert set(pyproject["build-system"]["requires"]) <= set(pyproject["dependency-groups"]["build"])


@pytest.mark.parametrize("python", PYTHONS)
def test_development_lock_holds_every_runtime_pin(project_root, python):
    runtime = pins_for(project_root / "requirements.lock", python)
    development = pins_for(project_root / "requirements-dev.lock", python)
    assert runtime.items() <= development.items()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("numpy>=1,<99", []),
        ("numpy>=99", ["numpy>=99 (2.0)"]),
        ("no-such-package>=1", ["no-such-package>=1 (None)"]),
    ],
)
def test_unmet_ranges_are_found(line, problem):
    assert unmet([Requirement(line)], {"numpy": "2.0"}) == problem


def test_conda_environment_asks_for_the_same_packages(pyproject, pip_requirements):
    """All but Python and pip come from where the lock does: its names and ranges are known to exist."""
    lines = [line for line in pip_requirements if not line.startswith("-e")]
    wanted = {str(Requirement(line)) for line in pyproject["project"]["dependencies"]}
    assert {str(Requirement(line)) for line in lines} == wanted
    assert len(lines) == len(wanted)


@pytest.mark.parametrize("python", PYTHONS)
def test_conda_environment_can_be_resolved(project_root, pip_requirements, python):
    requirements = [Requirement(line) for line in pip_requirements if not line.startswith("-e")]
    assert unmet(requirements, pins_for(project_root / "requirements.lock", python)) == []


def test_conda_environment_installs_posegen_itself_and_what_measures(pip_requirements):
    assert "-e .[accuracy]" in pip_requirements


@pytest.mark.parametrize("python", PYTHONS)
def test_what_measures_accuracy_is_locked_without_what_it_does_not_need(project_root, pyproject, python):
    pins = pins_for(project_root / "requirements.lock", python)
    lines = pyproject["project"]["optional-dependencies"]["accuracy"]
    assert unmet([Requirement(line) for line in lines], pins) == []
    assert not {"jax", "jaxlib", "sounddevice", "opencv-contrib-python"} & set(pins)


def test_conda_python_is_one_that_is_tested(pyproject, conda_requirements):
    assert [Requirement(line).name for line in conda_requirements] == ["python", "pip"]
    python = Requirement(conda_requirements[0]).specifier
    assert all(f"{version}.0" in python for version in PYTHONS)
    assert all(f"{version}.0" in SpecifierSet(pyproject["project"]["requires-python"]) for version in PYTHONS)
    assert "3.13.0" not in python


def test_conda_channel_is_free_to_use(environment):
    assert environment["name"] == "posegen"
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_notices_name_every_direct_dependency(project_root, pyproject):
    text = (project_root / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    extras = pyproject["project"]["optional-dependencies"].values()
    lines = pyproject["project"]["dependencies"] + [line for extra in extras for line in extra]
    names = [Requirement(line).name for line in lines]
    assert [name for name in names if f"| {name} |" not in text] == []
