import pytest

from posegen.backends.diffusers.failures import LOADING, chain, not_loaded, out_of_memory
from posegen.errors import BackendUnavailableError


def wrapped(inner: Exception) -> Exception:
    """Return an error as the libraries raise it: the cause is only in the context."""
    try:
        try:
            raise inner
        except type(inner):
            raise OSError("x is not a local folder\nIf this is a private repository, pass hf_secret")  # noqa: B904
    except OSError as exc:
        return exc


def named(*names: str, base: type[Exception] = Exception) -> Exception:
    """Return an error of a class of this name, derived from classes of the others."""
    cls = base
    for name in reversed(names):
        cls = type(name, (cls,), {})
    return cls("words")


@pytest.mark.parametrize("name", LOADING)
def test_what_the_hub_says_becomes_a_sentence(name: str) -> None:
    code, said = LOADING[name]
    error = not_loaded("model 'a/b'", wrapped(named(name)))
    assert isinstance(error, BackendUnavailableError)
    assert (error.code, str(error), error.backend) == (code, f"model 'a/b' {said}", "diffusers")


def test_a_gated_model_is_told_from_a_missing_one() -> None:
    error = not_loaded(
        "model 'a/b'", wrapped(named("GatedRepoError", "RepositoryNotFoundError", "HfHubHTTPError"))
    )
    assert error.code == "MODEL_GATED"
    assert "accept its licence" in str(error)
    assert "HF_TOKEN" in str(error)


def test_what_nobody_knows_keeps_its_first_line() -> None:
    error = not_loaded("model 'a/b'", wrapped(KeyError("k")))
    assert str(error) == "model 'a/b' could not be loaded: OSError: x is not a local folder"


def test_too_little_memory_while_loading_advises_offloading() -> None:
    error = not_loaded("model 'a/b'", wrapped(MemoryError()))
    assert error.code == "OUT_OF_MEMORY"
    assert "offload 'model'" in str(error)


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (named("OutOfMemoryError", base=RuntimeError), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_too_little_memory(error: Exception, ran_out: bool) -> None:
    assert out_of_memory(error) is ran_out
    assert out_of_memory(wrapped(error)) is ran_out


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(chain(first)) == [first, second]
