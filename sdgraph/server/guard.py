"""Who may ask: hosts, origins and the token, before any route sees a request; and what browsers are told to refuse.

A page on another site can make a browser send requests here. It can't make it leave out or fake the Origin header, and
after DNS rebinding the Host header still names the attacker's domain; so both are held to what the server is called.
Off loopback every request carries the token as well.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sdgraph.errors import Problem
from sdgraph.server.problems import problem_response

COOKIE = "sdgraph-editor"
"""Opens the editor's own files to a browser, which can't send the token as a header for them."""
_SOCKET = "/api/events"
_PAGE = "/"
_FILES = "/assets/"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one server."""

    hosts: frozenset[str]
    """Names that requests may address the server by, without port; empty: any, as long as they carry the token."""
    token: str | None
    """What every request must carry; None asks for nothing, which only loopback allows."""

    def refusal(self, request: web.Request) -> Problem | None:
        """Why a request is not answered; None when it is."""
        host = _host_of(f"//{request.host}")
        if self.hosts and host not in self.hosts:
            message = f"This server is not called {request.host[:100]!r}."
            return Problem("host-refused", message, f"Open it as {' or '.join(sorted(self.hosts))}.")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._own_origins(request):
            message = f"A page of {origin[:100]!r} may not use this server."
            return Problem("origin-refused", message, "Open the server's own address.")
        if self.token is not None and not self._carries_token(request):
            message = "The request carries no token, or a wrong one."
            return Problem("token-missing", message, "Send `Authorization: Bearer TOKEN`; `sdgraph serve` prints it.")
        return None

    def _own_origins(self, request: web.Request) -> tuple[str, ...]:
        own = f"{request.scheme}://{request.host}"
        # A proxy that adds TLS passes the Host on and speaks plainly to this server; the token keeps others out.
        return (own,) if self.token is None else (own, f"https://{request.host}")

    def _carries_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = self._token_of_browser(request)
        # Headers and addresses may hold any bytes; those that are no text come as surrogates.
        return hmac.compare_digest(given.encode(errors="surrogateescape"), (self.token or "").encode())

    def _token_of_browser(self, request: web.Request) -> str:
        """Browsers can't set a header for a socket, for a page or for the files of a page."""
        if request.path in (_SOCKET, _PAGE) and "token" in request.query:
            return request.query["token"]
        if request.path == _PAGE or request.path.startswith(_FILES):
            return request.cookies.get(COOKIE, "")
        return ""


def make_guard(host: str, token: str | None) -> Guard:
    """The guard of a server that listens on `host`."""
    return Guard(frozenset({"localhost", "127.0.0.1", "::1"}) if is_loopback(host) else frozenset(), token)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def guarding(guard: Guard) -> Middleware:
    """The middleware that keeps others out."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = guard.refusal(request)
        return await handler(request) if refusal is None else problem_response([refusal])

    return keep


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers what they must not do with an answer."""
    response.headers.update(_HEADERS)


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
