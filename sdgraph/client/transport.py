"""Requests to a server: JSON in and out, and its problems as the errors that they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel

from sdgraph.errors import Problem, ServerError, WorkflowError

M = TypeVar("M", bound=BaseModel)
_TIMEOUT_S = 60.0


class Transport:
    """The connections to one server. Use it in `async with`."""

    def __init__(self, url: str, token: str | None = None, user: str | None = None) -> None:
        """`user` says whose share of the workers runs take."""
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers = headers | ({"Sdgraph-User": user} if user else {})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(sock_connect=_TIMEOUT_S, sock_read=_TIMEOUT_S)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open connections. Raises RuntimeError outside of `async with`."""
        if self._session is None:
            raise RuntimeError("open the client first: `async with AsyncClient(url) as client:`")
        return self._session

    async def ask(
        self, method: str, path: str, answer: type[M], body: Any = None, query: Mapping[str, Any] | None = None
    ) -> M:
        """Send JSON and read JSON. Raises as `send` does."""
        content = None if body is None else json.dumps(body).encode()
        return answer.model_validate_json(await self.send(method, path, content, "application/json", query))

    async def send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        media_type: str = "application/octet-stream",
        query: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Send bytes and read bytes.

        Raises WorkflowError with all problems that the server has with the request, ServerError [server-unreachable],
        [server-answer].
        """
        headers = {} if content is None else {"Content-Type": media_type}
        given = [(name, str(one)) for name, value in (query or {}).items() for one in _many(value)]
        try:
            async with self.session.request(
                method, self.url + path, data=content, headers=headers, params=given
            ) as reply:
                found = await reply.read()
                if reply.status >= 400:
                    raise _refusal(reply.status, found)
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable(self.url, error) from None


def part(text: str) -> str:
    """A name as a part of a path."""
    return quote(text, safe="")


def unreachable(url: str, error: BaseException) -> ServerError:
    """The error for a server that does not answer."""
    said = str(error) or type(error).__name__
    message = f"The server at {url} can't be reached: {said}."
    return ServerError("server-unreachable", message, "Start one with `sdgraph serve`, and use the address it prints.")


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _refusal(status: int, content: bytes) -> WorkflowError | ServerError:
    try:
        problems = [Problem(**found) for found in json.loads(content)["problems"]]
    except (ValueError, KeyError, TypeError):
        problems = []
    if problems:
        return WorkflowError(problems)
    message = f"The server answered with status {status} and no problem document."
    return ServerError("server-answer", message, "Check that the address is that of an sdgraph server.")
