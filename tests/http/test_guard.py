"""URLs from outside open no door inside: a listener counts who comes."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from posegen.errors import ImageFailedError
from posegen.http import Rules
from posegen.http.guard import is_public
from tests.http.conftest import Simple
from tests.servers.base import error

RULES = Rules("fal", "fal", "FAL_KEY")

LOOPBACK = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "127.0.0.1.", "127.255.255.254", "0.0.0.0", "0", "localhost", "LOCALHOST", "localhost.", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]", "user@127.0.0.1", "example.com@127.0.0.1",
    "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
]  # fmt: skip
"""Ways to write this machine's own address (or one that reaches it)."""

PRIVATE = [
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[2001::1]",
    "[64:ff9b:1::1]", "[fec0::1]",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _numbers_are_read_as_the_system_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read numbers in all the spellings of `inet_aton`, without a look-up that leaves this machine."""

    def read(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if ":" in name:
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (name, port, 0, 0))]
        if name.lower().rstrip(".") == "localhost":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        try:
            number = socket.inet_ntoa(socket.inet_aton(name.rstrip(".")))
        except OSError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    monkeypatch.setattr(socket, "getaddrinfo", read)


@pytest.fixture
def listener() -> Iterator[Simple]:
    """Return a server that is not among the allowed hosts."""
    with Simple() as started:
        yield started


def refused(use: Callable[..., Any], url: str) -> ImageFailedError:
    with pytest.raises(ImageFailedError) as caught:
        asyncio.run(use(lambda client: client.download(url, RULES)))
    return caught.value


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_spelling_of_this_machine_is_reached(use: Callable[..., Any], listener: Simple, host: str) -> None:
    port = listener.host.partition(":")[2]
    assert refused(use, f"http://{host}:{port}/x").code in ("URL_REFUSED", "FLUX_MAX_RETRIES_EXCEEDED")
    assert listener.seen == []


@pytest.mark.parametrize("host", PRIVATE)
def test_no_private_address_is_reached(use: Callable[..., Any], host: str) -> None:
    error = refused(use, f"http://{host}/latest/meta-data")
    assert error.code == "URL_REFUSED"
    assert "not public" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "data:image/png;base64,AAAA",
        "javascript:alert(1)", "//127.0.0.1/x", "/etc/passwd", "", "http://", "http://[::1",
        "http://127.0.0.1:99999/",
    ],
)  # fmt: skip
def test_no_other_scheme_is_followed(use: Callable[..., Any], url: str) -> None:
    assert refused(use, url).code == "URL_REFUSED"


@pytest.mark.parametrize("target", ["http://{host}/x", "//{host}/x", "http://localhost:{port}/x"])
def test_a_redirect_to_a_private_address_is_refused(
    use: Callable[..., Any], server: Simple, listener: Simple, target: str
) -> None:
    location = target.format(host=listener.host, port=listener.host.partition(":")[2])
    server.script("/a", error(302, Location=location))
    assert refused(use, f"{server.url}/a").code == "URL_REFUSED"
    assert (server.count("/a"), listener.seen) == (1, [])


def test_an_allowed_host_is_allowed_on_its_port_only(use: Callable[..., Any], server: Simple) -> None:
    got = asyncio.run(use(lambda client: client.download(f"{server.url}/x", RULES)))
    assert got.data == b'{"ok": true}'
    with Simple() as other:
        refused(use, f"{other.url}/x")
        assert other.seen == []


class Names:
    """Answers look-ups in turn, each time with the next address."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = list(addresses), 0

    def __call__(self, host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        address = self.addresses[min(self.asked, len(self.addresses) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


def test_an_answer_that_changes_between_check_and_use_changes_nothing(
    use: Callable[..., Any], server: Simple, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is public when checked and private when used; only the checked address is ever used."""
    names = Names("93.184.215.14", "127.0.0.1")
    reached: list[str] = []

    async def connect(*, remote_host: str, **_: Any) -> Any:
        reached.append(remote_host)
        raise OSError("nobody goes out in a test")

    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr("anyio.connect_tcp", connect)
    error = refused(use, f"http://rebinding.example:{server.host.partition(':')[2]}/x")
    assert error.code in ("URL_REFUSED", "FLUX_MAX_RETRIES_EXCEEDED")
    assert set(reached) == {"93.184.215.14"}
    assert server.seen == []


def test_a_name_is_reached_by_another_of_its_addresses(
    use: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simple() as far:
        port = int(far.host.partition(":")[2])
        monkeypatch.setattr("posegen.http.guard.is_public", lambda _: True)
        both = Names("127.0.0.2")("h", port) + Names("127.0.0.1")("h", port)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        got = asyncio.run(use(lambda client: client.download(f"http://two.example:{port}/x", RULES)))
        assert got.data == b'{"ok": true}'


def test_one_private_address_among_several_refuses_the_name(
    use: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Names("93.184.215.14")("h", 80) + Names("10.0.0.1")("h", 80)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entry)
    assert "10.0.0.1, which is not public" in str(refused(use, "http://several.example/x"))


def test_a_relative_redirect_keeps_the_name(use: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to an address, but what is asked for stays with the host's name."""
    with Simple() as far:
        port = int(far.host.partition(":")[2])
        monkeypatch.setattr("posegen.http.guard.is_public", lambda _: True)
        monkeypatch.setattr(socket, "getaddrinfo", Names("127.0.0.1"))
        far.script("/a", error(302, Location="/x"))
        url = f"http://pictures.example:{port}/a"
        asyncio.run(use(lambda client: client.download(url, RULES)))
        assert [seen.headers["host"] for seen in far.seen] == [f"pictures.example:{port}"] * 2


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
