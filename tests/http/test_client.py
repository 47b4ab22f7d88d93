"""The client against a server on this machine: what is sent again, what never, and what is read."""

import asyncio
import contextlib
import gzip
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from posegen.errors import (
    BackendError,
    BackendUnavailableError,
    ImageFailedError,
    OutcomeUnknownError,
    ResultGoneError,
)
from posegen.http import Call, Client, Rules
from posegen.http import client as client_module
from tests.http.conftest import Clock, Purse, Simple
from tests.servers.base import Fault, Reply, error

RULES = Rules("fal", "fal", "FAL_KEY")
KEY = "canary-5ecret-key"

Use = Callable[..., Any]


def get(server: Simple, **more: Any) -> Call:
    return Call("GET", f"{server.url}/x", **more)


def post(server: Simple, **more: Any) -> Call:
    return Call("POST", f"{server.url}/x", json={"seed": 1}, **more)


def send(use: Use, call: Call, rules: Rules = RULES, **changes: Any) -> httpx.Response:
    return asyncio.run(use(lambda client: client.send(call, rules), **changes))


def purchase(use: Use, call: Call, purse: Purse, rules: Rules = RULES, **changes: Any) -> httpx.Response:
    return asyncio.run(use(lambda client: client.purchase(call, rules, purse.buy), **changes))


def download(use: Use, url: str, **limits: Any) -> Any:
    return asyncio.run(use(lambda client: client.download(url, RULES, **limits)))


def test_a_call_carries_its_key_query_headers_and_body(use: Use, server: Simple) -> None:
    call = get(server, key=SecretStr(KEY), scheme="Key", query={"logs": "1"}, headers={"X-A": "b"})
    assert send(use, call).json() == {"ok": True}
    (seen,) = server.seen
    assert (seen.headers["authorization"], seen.headers["x-a"]) == (f"Key {KEY}", "b")
    assert seen.query == {"logs": ["1"]}


def test_files_and_fields_are_sent_as_multipart(use: Use, server: Simple) -> None:
    call = Call(
        "POST", f"{server.url}/x", files={"image": ("a.png", b"bytes", "image/png")}, form={"type": "input"}
    )
    send(use, call)
    assert b'name="type"' in server.seen[0].body
    assert b'filename="a.png"' in server.seen[0].body


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_go_away_is_asked_again(use: Use, server: Simple, clock: Clock, status: int) -> None:
    server.script("/x", error(status), error(status))
    assert send(use, get(server)).status_code == 200
    assert (server.count("/x"), len(clock.slept)) == (3, 2)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 402, 403, 404, 410, 422])
def test_what_stays_is_asked_once(use: Use, server: Simple, clock: Clock, status: int) -> None:
    server.always["/x"] = error(status, {"error": "no"}, Location="/elsewhere")
    for ask in (send, lambda *arguments: purchase(*arguments, Purse())):
        with pytest.raises(BackendError, match=f"{status}|empty|refuses the key"):
            ask(use, get(server))
    assert (len(server.seen), clock.slept) == (2, [])


def test_the_wait_a_server_asks_for_is_kept(use: Use, server: Simple, clock: Clock) -> None:
    server.script("/x", error(429, Retry_After="7"), error(503, {"estimated_time": 20.0}))
    send(use, get(server))
    assert 7 <= clock.slept[0] <= 8
    assert 20 <= clock.slept[1] <= 21


def test_waits_grow_at_random_where_nobody_says(use: Use, server: Simple, clock: Clock) -> None:
    server.script("/x", *[error(500)] * 9)
    send(use, get(server), max_tries=10, retry_total_s=10_000.0)
    assert len(set(clock.slept)) == 9
    assert all(0 <= wait_s <= min(2.0**tried, 30.0) for tried, wait_s in enumerate(clock.slept))


def test_tries_are_counted_and_the_last_cause_is_told(use: Use, server: Simple) -> None:
    server.always["/x"] = error(503, {"error": "model is busy"})
    with pytest.raises(ImageFailedError, match="5 tries: fal answered 503: model is busy") as caught:
        send(use, get(server))
    assert (caught.value.code, server.count("/x")) == ("FLUX_MAX_RETRIES_EXCEEDED", 5)


def test_the_total_time_is_bounded(use: Use, server: Simple, clock: Clock) -> None:
    server.always["/x"] = error(503, Retry_After="100")
    with pytest.raises(ImageFailedError, match="3 tries"):
        send(use, get(server), max_tries=50)
    assert sum(clock.slept) < 300


def test_a_long_wait_is_not_begun(use: Use, server: Simple, clock: Clock) -> None:
    server.always["/x"] = error(429, Retry_After="3600")
    with pytest.raises(ImageFailedError, match=r"1 try: .*it asks to wait 3600 s"):
        send(use, get(server))
    assert (server.count("/x"), clock.slept) == (1, [])


def test_the_providers_own_rules_come_first(use: Use, server: Simple) -> None:
    server.always["/x"] = error(503)
    with pytest.raises(ImageFailedError) as caught:
        send(use, get(server), replace(RULES, may_retry=lambda _: False))
    assert (caught.value.code, server.count("/x")) == ("HTTP_503", 1)
    own = replace(RULES, may_retry=lambda _: False, own_error=lambda _, said: RULES.failed(said, "OWN"))
    with pytest.raises(ImageFailedError) as caught:
        send(use, get(server), own)
    assert caught.value.code == "OWN"


def test_a_lost_answer_is_asked_for_again_where_that_costs_nothing(use: Use, server: Simple) -> None:
    server.script("/x", Fault(drop=True), Fault(cut=True))
    assert send(use, get(server)).json() == {"ok": True}
    assert server.count("/x") == 3


@pytest.mark.parametrize("fault", [Fault(drop=True, charged=True), Fault(cut=True)])
def test_a_lost_answer_to_a_purchase_is_unknown_and_not_repeated(
    use: Use, server: Simple, purse: Purse, fault: Fault
) -> None:
    server.script("/x", fault)
    with pytest.raises(OutcomeUnknownError, match="whether it took the request cannot be found out"):
        purchase(use, post(server), purse)
    assert (server.count("/x"), server.charges.total()) == (1, 1)
    assert (purse.intents, purse.withdrawn) == (1, 0)


def test_a_purchase_that_nobody_answers_in_time_is_unknown(use: Use, server: Simple, purse: Purse) -> None:
    gate = threading.Event()
    server.script("/x", Fault(gate=gate))
    with pytest.raises(OutcomeUnknownError, match="fal gave no answer"):
        purchase(use, post(server), purse, request_timeout_s=0.2)
    gate.set()
    assert server.count("/x") == 1


def test_a_refused_purchase_is_withdrawn_and_tried_again(use: Use, server: Simple, purse: Purse) -> None:
    server.script("/x", error(429, Retry_After="2"), error(503))
    assert purchase(use, post(server), purse).status_code == 200
    assert (purse.intents, purse.withdrawn, server.charges.total()) == (3, 2, 1)


def test_a_server_that_is_not_there_makes_the_backend_unavailable(use: Use, server: Simple) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        for ask in (send, lambda *arguments: purchase(*arguments, Purse())):
            with pytest.raises(BackendUnavailableError, match=r"cannot be reached.*5 tries") as caught:
                ask(use, Call("POST", url))
            assert caught.value.code == "BACKEND_UNREACHABLE"


@pytest.mark.parametrize("key", ["line\nbreak", "schl\u00fcssel", "nul\0"])
def test_a_key_that_no_header_may_hold_is_not_shown(use: Use, server: Simple, key: str) -> None:
    with pytest.raises(BackendUnavailableError, match="check FAL_KEY") as caught:
        send(use, get(server, key=SecretStr(key)))
    shown = "".join(traceback.format_exception(caught.value))
    assert key not in shown
    assert repr(key)[1:-1] not in shown
    assert server.seen == []


def test_no_error_shows_the_key(use: Use, server: Simple) -> None:
    call = post(server, key=SecretStr(KEY))
    assert KEY not in repr(call)
    for fault in (error(401, {"error": f"unknown key {KEY}"}), error(500, KEY.encode()), Fault(drop=True)):
        server.always["/x"] = fault
        with pytest.raises(BackendError) as caught:
            send(use, call)
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert KEY not in locals_of(caught.value)


def locals_of(error: BaseException | None) -> str:
    """Return the local variables that a verbose traceback shows of an error and its causes."""
    shown = ""
    while error is not None:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [frame for frame in told.stack if "/tests/" not in frame.filename]
        shown += "".join(str(frame.locals) for frame in frames)
        error = error.__cause__ or error.__context__
    assert "rules" in shown
    return shown


def test_a_key_does_not_follow_a_redirect(use: Use, server: Simple) -> None:
    with Simple() as other:
        server.script("/x", error(302, Location=f"{other.url}/steal"))
        with pytest.raises(ImageFailedError, match="302"):
            send(use, get(server, key=SecretStr(KEY)))
        assert other.seen == []


def test_a_huge_answer_is_not_read(use: Use, server: Simple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
    server.script("/x", Fault(Reply(200, b"x" * 1001)))
    with pytest.raises(ImageFailedError, match="more than 1,000 bytes"):
        send(use, get(server))


def test_a_purchase_with_a_huge_answer_was_bought(
    use: Use, server: Simple, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
    server.script("/x", Fault(Reply(200, b"x" * 1001)))
    with pytest.raises(ImageFailedError, match="more than 1,000 bytes"):
        purchase(use, Call("POST", f"{server.url}/x"), purse)
    assert (purse.intents, purse.withdrawn) == (1, 0)


def test_a_huge_error_is_known_by_its_status(
    use: Use, server: Simple, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
    server.script("/x", error(503, b"x" * 1001), error(402, b"x" * 1001))
    with pytest.raises(BackendUnavailableError):
        purchase(use, Call("POST", f"{server.url}/x"), purse)
    assert (purse.intents, purse.withdrawn) == (2, 2)


def test_an_answer_is_unpacked_once(use: Use, server: Simple) -> None:
    packed = gzip.compress(b'{"packed": 1}')
    server.script("/x", Fault(Reply(200, packed, {"Content-Encoding": "gzip"}, "application/json")))
    assert send(use, get(server)).json() == {"packed": 1}


def test_a_download_says_what_it_is(use: Use, server: Simple) -> None:
    server.script("/x", Fault(Reply(200, b"abc", content_type="image/webp")))
    got = download(use, f"{server.url}/x")
    assert (got.data, got.content_type) == (b"abc", "image/webp")


def test_a_download_is_tried_again_where_it_may_go_away(use: Use, server: Simple) -> None:
    server.script("/x", error(503, {"estimated_time": 9}), Fault(drop=True), Fault(cut=True))
    assert download(use, f"{server.url}/x").data == b'{"ok": true}'
    server.always["/x"] = error(500)
    with pytest.raises(ImageFailedError) as caught:
        download(use, f"{server.url}/x")
    assert caught.value.code == "FLUX_MAX_RETRIES_EXCEEDED"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_download_that_has_expired_is_gone(use: Use, server: Simple, status: int) -> None:
    server.script("/x", error(status))
    with pytest.raises(ResultGoneError, match=str(status)):
        download(use, f"{server.url}/x")
    assert server.count("/x") == 1


@pytest.mark.parametrize("status", [400, 401, 416])
def test_a_download_that_is_refused_is_not_tried_again(use: Use, server: Simple, status: int) -> None:
    server.script("/x", error(status))
    with pytest.raises(ImageFailedError, match=str(status)):
        download(use, f"{server.url}/x")
    assert server.count("/x") == 1


@pytest.mark.parametrize("body", [b"x" * 101, gzip.compress(b"x" * 5_000_000)])
def test_a_download_has_a_limit_unpacked_too(use: Use, server: Simple, body: bytes) -> None:
    packed = {"Content-Encoding": "gzip"} if len(body) > 101 else {}
    server.always["/x"] = Fault(Reply(200, body, packed))
    with pytest.raises(ImageFailedError, match="more than 100 bytes") as caught:
        download(use, f"{server.url}/x", max_bytes=100)
    assert caught.value.code == "BAD_RESULT"


def test_what_is_packed_twice_is_not_unpacked(use: Use, server: Simple, purse: Purse) -> None:
    bomb = gzip.compress(gzip.compress(b"x" * 5_000_000))
    server.always["/x"] = Fault(Reply(200, bomb, {"Content-Encoding": "gzip, gzip"}, "image/png"))
    with pytest.raises(ImageFailedError, match="content encoding is 'gzip, gzip'"):
        download(use, f"{server.url}/x")
    with pytest.raises(OutcomeUnknownError, match="content encoding"):
        purchase(use, post(server), purse)


def test_an_answer_that_drips_is_given_up(use: Use, purse: Purse) -> None:
    """Each byte ends a silence; the whole would take 100 s."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.1)
        ended.release()

    ended = asyncio.Semaphore(0)

    async def story(client: Client) -> None:
        async with await asyncio.start_server(drip, "127.0.0.1", 0) as dripping:
            port = dripping.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/x"
            with pytest.raises(OutcomeUnknownError, match="not complete within 1 s"):
                await client.purchase(Call("POST", url, json={}), RULES, purse.buy)
            with pytest.raises(ImageFailedError, match="not complete within 1 s") as caught:
                await client.download(url, RULES)
            assert caught.value.code == "FLUX_MAX_RETRIES_EXCEEDED"
            for _ in range(3):  # each connection was ended by the client
                await ended.acquire()

    hosts = ("127.0.0.1",)
    work = asyncio.wait_for(use(story, request_timeout_s=0.5, max_tries=2, allowed_hosts=hosts), 30)
    asyncio.run(work)


def test_redirects_are_followed_a_few_times(use: Use, server: Simple) -> None:
    server.script("/a", error(302, Location="/x"))
    assert download(use, f"{server.url}/a").data == b'{"ok": true}'
    server.always["/a"] = error(302, Location="/a")
    with pytest.raises(ImageFailedError, match="too many redirects") as caught:
        download(use, f"{server.url}/a")
    assert caught.value.code == "URL_REFUSED"


def test_a_client_closes_its_connections(settings: Any) -> None:
    async def story() -> bool:
        client = Client(settings)
        await client.aclose()
        return client._http.is_closed and client._guarded.is_closed

    assert asyncio.run(story())
