"""Refuse every connection and name look-up that leaves this machine.

An audit hook, so that no library can step round it and no test can forget it. What it raises is no OSError: a
test whose code retries or wraps network faults must not pass when it would have gone out. Compiled libraries
with sockets of their own (ZeroMQ, DuckDB) are not seen.
"""

import ipaddress
import socket
import sys

LOCAL_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname()}
"""Also this machine's own name: the standard library's servers look it up."""

_CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOK_UPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


class NetworkRefusedError(RuntimeError):
    """A test tried to reach another machine."""


def is_local(host):
    """Say whether `host`, a name, an address or None, is this machine."""
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _hook(event, arguments):
    if event in _CONNECTS:
        address = arguments[1]
        # Unix sockets have a path for an address; a connected socket sends to None.
        host = address[0] if isinstance(address, tuple) and address else None
        local = host is None or isinstance(host, int) or is_local(host)
    elif event in _LOOK_UPS:
        host = arguments[0]
        local = is_local(host)
    else:
        return
    if not local:
        raise NetworkRefusedError(f"{event} to {host!r}: tests may only reach this machine")


def install():
    """Refuse from now on, in this process, for good; a second call does nothing."""
    if not getattr(sys, "_posegen_loopback_only", False):
        sys._posegen_loopback_only = True
        sys.addaudithook(_hook)
