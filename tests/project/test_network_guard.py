import asyncio
import socket
import subprocess
import sys

import httpx
import pytest
from loopback_only import NetworkRefusedError, is_local

FAR = "192.0.2.1"
"""Reserved for documentation (RFC 5737): no machine has it."""


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "", None, b"localhost", "0.0.0.0"]
)
def test_this_machine_is_local(host):
    assert is_local(host)


@pytest.mark.parametrize("host", [FAR, "10.0.0.1", "2001:db8::1", "example.com", "localhost.example.com"])
def test_other_machines_are_not_local(host):
    assert not is_local(host)


def test_a_loopback_connection_passes():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        client.sendall(b"x")


def test_look_up_and_datagram_are_refused():
    with pytest.raises(NetworkRefusedError, match=r"example\.com"):
        socket.getaddrinfo("example.com", 443)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward, pytest.raises(NetworkRefusedError):
        outward.sendto(b"x", (FAR, 9))


def test_http_client_does_not_swallow_the_refusal():
    with pytest.raises(NetworkRefusedError):
        httpx.get(f"http://{FAR}/", timeout=1)


def test_asyncio_is_refused():
    with pytest.raises(NetworkRefusedError):
        asyncio.run(asyncio.wait_for(asyncio.open_connection(FAR, 9), 5))


def test_a_child_process_is_refused():
    code = f"import socket; socket.create_connection(({FAR!r}, 9), timeout=1)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert child.returncode == 1
    assert "NetworkRefusedError" in child.stderr
