"""Who may ask this server, and what its pages may load.

A page on some other site can make a visitor's browser send requests to a server on that visitor's machine,
and by DNS rebinding can even read the answers, as the browser takes both for one site. So a request must
call the server by a name that no stranger's DNS can give it: `localhost`, an IP address, or a name that the
operator allowed; and what a browser sends on behalf of another site is refused, save following a link.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a page of this server may load and do: its own scripts and styles, its own API, images in its data.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

#: Statuses that the framework answers in words of its own: kind, and sentence.
_WORDED = {
    413: ("TooLarge", "The request is larger than this server takes: shorten the text, or shrink the file."),
    500: ("InternalError", "The server failed; its log says where."),
}

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that refuses foreign requests and adds the headers that keep pages to themselves.

    Args:
        app: what answers.
        hosts: names that a request may call this server by, besides `localhost` and addresses.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.casefold() for host in hosts) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        replaced = False

        async def send_worded(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] in _WORDED:
                replaced = True
                await _answer(send_guarded, message["status"], *_WORDED[message["status"]])
            elif not replaced:
                await send_guarded(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_worded)
        else:
            await _answer(send_guarded, refusal[0], "ForeignRequest", refusal[1])

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return 421, (
                f"Host {host[:100]!r} is no name of this server: use its address or localhost, or have its operator "
                "allow the name with --allow-host."
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.casefold() != host.casefold():
            return 403, f"A page of {origin[:100]!r} asked; this server answers only its own pages."
        follows_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not follows_link:
            return 403, "A page of another site asked; this server answers only its own pages."
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def refusal(kind: str, message: str, status: int) -> dict[str, Any]:
    """The body of an answer that is no success."""
    return {"error": {"kind": kind, "message": message, "status": status}}


async def _answer(send: Send, status: int, kind: str, message: str) -> None:
    body = json.dumps(refusal(kind, message, status)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
