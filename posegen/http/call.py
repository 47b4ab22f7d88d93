"""A request before it is sent."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from pydantic import SecretStr


@dataclass(frozen=True)
class Call:
    """One HTTP request. Its key stays a secret until it is sent, so that showing a call shows no key.

    Attributes
    ----------
    method : str
    url : str
    json : dict, optional
        The body.
    headers, query : mapping of str to str
    files : mapping, optional
        Multipart parts as httpx takes them, in place of `json`.
    form : mapping of str to str
        Fields beside `files`.
    key : SecretStr, optional
    scheme : str
        What stands before the key in `Authorization`: "Bearer", "Key".
    """

    method: Literal["GET", "POST", "PUT"]
    url: str
    json: dict[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes, str]] | None = field(default=None, repr=False)
    form: Mapping[str, str] = field(default_factory=dict)
    key: SecretStr | None = None
    scheme: str = "Bearer"


class KeyAuth(httpx.Auth):
    """Puts a key into a request at the last moment: no frame that a traceback shows holds it in the open."""

    def __init__(self, key: SecretStr, scheme: str) -> None:
        self._key, self._scheme = key, scheme

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request."""
        request.headers["Authorization"] = f"{self._scheme} {self._key.get_secret_value()}"
        yield request
