"""Connections to public addresses only, so that a URL from outside opens no door inside.

The name is looked up once, every address it has is checked, and the connection goes to one of the checked
addresses: an answer that changes between check and use changes nothing. Redirects come through here too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

EMBEDDING = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96")
)
"""IPv6 ranges that carry an IPv4 address: NAT64 (RFC 6052, 8215), 6to4 (3056), Teredo (4380), compatible and
translated ones (4291, 2765). Python 3.11 calls some of them global."""


MOST_ADDRESSES = 4
"""How many addresses of one name are tried."""


class ForbiddenAddressError(httpx.RequestError):
    """The URL leads to an address that is not public."""


def is_public(address: Address) -> bool:
    """Return whether anybody on the Internet could reach `address`.

    >>> is_public(ipaddress.ip_address("100.64.0.1")), is_public(ipaddress.ip_address("::ffff:10.0.0.1"))
    (False, False)
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.is_site_local or any(address in network for network in EMBEDDING):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Lets requests through to public addresses, and to hosts that are allowed by name.

    Parameters
    ----------
    allowed_hosts : iterable of str
        `host` or `host:port`, as they stand in URLs.
    """

    def __init__(self, allowed_hosts: Iterable[str] = (), *, transport: httpx.AsyncBaseTransport) -> None:
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to a checked address.

        Raises
        ------
        ForbiddenAddressError
            Another scheme than http and https, or an address that is not public.
        """
        url = request.url
        if url.scheme not in ("http", "https"):
            raise ForbiddenAddressError(
                f"only http and https are allowed, not {url.scheme!r}", request=request
            )
        host, port = url.host.lower(), url.port or (443 if url.scheme == "https" else 80)
        if not self._allowed.isdisjoint({host, f"{host}:{port}"}):
            return await self._transport.handle_async_request(request)
        failed: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in (await self._checked(host, port, request))[:MOST_ADDRESSES]:
            try:
                return await self._transport.handle_async_request(_addressed(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as exc:  # as where there is no IPv6
                failed = exc
        raise failed or httpx.ConnectError(f"{host!r} has no address", request=request)

    async def _checked(self, host: str, port: int, request: httpx.Request) -> list[Address]:
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise httpx.ConnectError(f"{host!r} cannot be looked up: {exc}", request=request) from exc
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            if not is_public(address):
                raise ForbiddenAddressError(
                    f"{host!r} leads to {address}, which is not public", request=request
                )
        return list(dict.fromkeys(addresses))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _addressed(request: httpx.Request, address: Address) -> httpx.Request:
    """Return the request with an address in place of the name, which the Host header and TLS still say.

    The request itself stays as it is: a relative redirect is read against its URL.
    """
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
