import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from posegen.settings import SECRETS, Settings
from posegen.telemetry import JsonFormatter, ReadableFormatter, bound, logger, masking, protect
from posegen.telemetry.masking import HIDDEN, brief, mask, mask_text

HF = "hf_QmPzTuWvXyAbCdEfGhIj"
FAL = 'key/with "quotes" and ü:4f5e6d'
PROMPT = "portrait of my neighbour Anna in a red coat, at dusk"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(masking, "_secrets", [])
    monkeypatch.setattr(masking, "_policy", {"prompts": False})
    made = Settings(root=tmp_path, hf_token=SecretStr(HF), fal_key=SecretStr(FAL))
    protect(made, prompts=True)
    return made


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Return what is logged, as JSON and as text, every line twice."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.extend(one.format(record) for one in (JsonFormatter(), ReadableFormatter()))

    logs, handler = logging.getLogger("posegen"), Keep()
    before = logs.level
    logs.addHandler(handler)
    logs.setLevel(logging.DEBUG)
    yield found
    logs.removeHandler(handler)
    logs.setLevel(before)


def nothing_of(secret: str, text: str) -> bool:
    return not any(
        form in text for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], secret[:8])
    )


def test_every_secret_setting_is_a_secret_here() -> None:
    fields = Settings.model_fields
    secret = {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    assert secret == set(SECRETS)


@pytest.mark.parametrize("secret", [HF, FAL])
def test_a_secret_is_masked_wherever_a_line_may_hold_it(secret: str, lines: list[str]) -> None:
    log = logger("http")
    log.warning("sent %s to %s", secret, {"Authorization": f"Key {secret}"})
    log.warning("%s", secret, headers={"x": [{"y": (secret, secret.encode(), SecretStr(secret))}]})
    log.warning("cut off: %s", f"{secret:.12}")
    logging.getLogger("posegen.http").warning(
        "not by our logger: %s", secret, extra={"context": {"a": secret}}
    )
    with bound(run=secret):
        log.warning("bound")
    assert len(lines) == 10
    assert all(nothing_of(secret, line) and HIDDEN in line for line in lines)


@pytest.mark.parametrize("secret", [HF, FAL])
def test_a_secret_is_masked_in_exceptions_and_what_caused_them(secret: str, lines: list[str]) -> None:
    local = {"key": secret}
    try:
        try:
            raise ValueError(f"refused: {secret}")
        except ValueError as exc:
            raise RuntimeError(f"gave up on {local}") from exc
    except RuntimeError as exc:
        logger("worker").exception("failed: %s", exc)
        logging.getLogger("posegen.worker").exception("failed")
    assert len(lines) == 4
    assert all(nothing_of(secret, line) and "ValueError: refused: ***" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET http://user:pass1@host/x", "GET http://***@host/x"),
        ("https://onlytoken@host", "https://***@host"),
        ("Authorization: Bearer abc123def456ghi", "Authorization: Bearer ***"),
        ("https://r2/x?X-Amz-Signature=0a1b2c&y=1", "https://r2/x?X-Amz-Signature=***&y=1"),
        ("the key is missing", "the key is missing"),
        ("http://127.0.0.1:8188/prompt", "http://127.0.0.1:8188/prompt"),
    ],
)
def test_credentials_are_known_by_where_they_stand(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "name", ["token", "hf_token", "api_key", "apikey", "Authorization", "password", "secret"]
)
def test_a_field_named_as_a_secret_is_masked_whatever_it_holds(name: str) -> None:
    assert mask({name: "x"}) == {name: HIDDEN}


def test_prompts_are_lengths_and_hashes(lines: list[str]) -> None:
    with bound(prompts=(PROMPT, None, "red")):
        logger("flux").warning(
            "asked", prompt=PROMPT, body={"user_prompt": PROMPT, "prompts": [PROMPT, PROMPT]}
        )
        logger("flux").warning('refused: {"detail": %s}', json.dumps(PROMPT))
        logger("flux").warning("refused: %.40s", PROMPT)
    assert all("neighbour" not in line and brief(PROMPT) in line for line in lines)
    assert "red" in mask_text("it is tired"), "too short to be looked for"


def test_a_prompt_in_a_traceback_is_masked(lines: list[str]) -> None:
    with bound(prompts=(PROMPT,)):
        try:
            raise ValueError(f"no picture of {PROMPT!r}")
        except ValueError:
            logger("worker").exception("failed")
    assert all("neighbour" not in line and "52 characters" in line for line in lines)


def test_prompts_are_shown_where_a_setting_says_so(settings: Settings, lines: list[str]) -> None:
    protect(settings.model_copy(update={"log_prompts": "on"}), prompts=True)
    with bound(prompts=(PROMPT,)):
        logger("flux").warning("asked: %s", PROMPT, prompt=PROMPT)
    assert all(line.count("neighbour") == 2 for line in lines)


def test_an_engine_s_settings_do_not_show_prompts(settings: Settings) -> None:
    protect(settings.model_copy(update={"log_prompts": "on"}))
    assert mask("anything", "prompt") == brief("anything")


def test_values_that_cannot_be_shown_break_nothing(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Else pytest captures the lone surrogate, which its workers cannot send to one another.
    monkeypatch.setattr(logging.getLogger("posegen"), "propagate", False)

    class Broken:
        def __str__(self) -> str:
            raise OSError

    endless: list[Any] = []
    endless.append(endless)
    log = logger("worker")
    log.warning("x %s", Broken())
    log.warning("%d images", "two", extra_field=Broken(), endless=endless, nan=float("nan"))
    log.warning("lone %s", "\ud800", number=3, nothing=None, yes=True)
    assert len(lines) == 6
    for line in lines[::2]:
        json.loads(line)
    assert json.loads(lines[2])["nan"] == "nan"
    assert json.loads(lines[4])["number"] == 3


def test_a_line_stays_a_line_and_a_terminal_is_not_controlled(lines: list[str]) -> None:
    logger("http").warning("two\nlines \x1b[31mred %s", "x" * 100_000)
    assert json.loads(lines[0])["message"].startswith("two\nlines \\x1b[31m")
    assert all("\n" not in line and "\x1b" not in line and len(line) < 9000 for line in lines)
