"""A request before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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

    def all_headers(self) -> dict[str, str]:
        """Return the headers with the key; only what sends it calls this."""
        headers = dict(self.headers)
        if self.key is not None:
            headers["Authorization"] = f"{self.scheme} {self.key.get_secret_value()}"
        return headers
