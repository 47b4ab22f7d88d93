from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from posegen.errors import BackendUnavailableError, ImageFailedError
from posegen.http.answers import LONGEST_DETAIL, Rules, asked_to_wait_s, explanation, is_retryable

RULES = Rules("fal", "fal", "FAL_KEY")
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def answer(status: int = 400, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.Response(status, headers=headers, **body)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(json={"error": "no such model"}), "no such model"),
        (answer(json={"detail": "Request timed out", "error_type": "request_timeout"}), "Request timed out"),
        (
            answer(json={"detail": [{"loc": ["body", "seed"], "msg": "not a number", "type": "int"}]}),
            "seed: not a number",
        ),
        (answer(json={"detail": [{"msg": "one"}, {"msg": "two"}]}), "one; two"),
        (answer(json={"detail": [{"msg": "one", "loc": None}, {"msg": "two", "loc": 3}]}), "one; two"),
        (answer(json={"error": {"type": "invalid_prompt", "message": "no outputs"}}), "no outputs"),
        (answer(json=["a", "b"]), "a; b"),
        (answer(json={"title": "Unauthenticated"}), "Unauthenticated"),
        (answer(json={"unheard": 1}), "Bad Request"),
        (answer(502, html="<html><head><title>502 Bad Gateway</title></head></html>"), "502 Bad Gateway"),
        (answer(text="plain\n words"), "plain words"),
        (answer(content=b"\x00\xff\xfe"), "Bad Request"),
        (answer(content=b"[" * 200_000, headers={"content-type": "application/json"}), "Bad Request"),
        (answer(json={"error": "x"}, headers={"X-Error-Message": "from the header"}), "from the header"),
        (httpx.Response(599, content=b""), "no reason given"),
    ],
)
def test_every_form_of_error_is_put_into_words(given: httpx.Response, said: str) -> None:
    assert explanation(given) == said


def test_words_are_short_and_hold_no_key() -> None:
    assert len(explanation(answer(json={"error": "x" * 5000}))) == LONGEST_DETAIL
    request = httpx.Request("GET", "http://x", headers={"Authorization": "Key s3cret-canary"})
    told = httpx.Response(401, json={"error": "bad key s3cret-canary"}, request=request)
    assert explanation(told) == "bad key ***"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, ImageFailedError, "REQUEST_REFUSED"),
        (401, BackendUnavailableError, "KEY_REFUSED"),
        (402, BackendUnavailableError, "ACCOUNT_EMPTY"),
        (403, BackendUnavailableError, "KEY_REFUSED"),
        (404, BackendUnavailableError, "NOT_SERVED"),
        (410, BackendUnavailableError, "NOT_SERVED"),
        (422, ImageFailedError, "REQUEST_REFUSED"),
        (500, ImageFailedError, "HTTP_500"),
        (302, ImageFailedError, "HTTP_302"),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[Exception], code: str) -> None:
    error = RULES.error(answer(status, json={"error": "why"}))
    assert type(error) is kind
    assert (error.code, error.backend) == (code, "fal")
    assert "why" in str(error)


def test_a_refused_key_names_its_variable() -> None:
    assert "check FAL_KEY" in str(RULES.error(answer(401)))


def test_what_may_be_asked_again() -> None:
    assert [status for status in range(200, 600) if is_retryable(answer(status))] == [
        408, 429, 500, 502, 503, 504,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"Retry-After": "3", "RateLimit": '"api";r=0;t=55'}, 3.0),
        ({}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers: dict[str, str], wait_s: float | None) -> None:
    assert asked_to_wait_s(answer(429, headers=headers), now=lambda: NOON) == wait_s


@pytest.mark.parametrize(
    ("status", "body", "wait_s"),
    [
        (503, {"error": "Model X is currently loading", "estimated_time": 20.0}, 20.0),
        (503, {"estimated_time": -1}, 0.0),
        (503, {"estimated_time": "long"}, None),
        (503, {"estimated_time": 10**400}, None),
        (503, {"estimated_time": None}, None),
        (503, [1], None),
        (429, {"estimated_time": 20.0}, None),
    ],
)
def test_a_loading_model_says_how_long(status: int, body: Any, wait_s: float | None) -> None:
    assert asked_to_wait_s(answer(status, json=body)) == wait_s
