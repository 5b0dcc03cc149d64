"""The client for programs that do not use asyncio: the asynchronous one on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from sdgraph.client.asynchronous import AnyWorkflow, AsyncClient, AsyncRun, Event
from sdgraph.server.installed import ModelList
from sdgraph.server.preview_schemas import NodePreview
from sdgraph.server.run_schemas import RunList, RunOut, Status
from sdgraph.server.schemas import CheckAnswer, Health, PlanAnswer, WorkflowList
from sdgraph.server.shipped import PictureList
from sdgraph.server.uploads import UploadOut

T = TypeVar("T")


def connect(url: str = "http://127.0.0.1:8188/", token: str | None = None, user: str | None = None) -> Client:
    """A client of the server at an address. Raises ServerError [server-unreachable] when there is none.

    `token` is what a server off loopback demands; `user` says whose share of the workers runs take.
    """
    client = Client(url, token, user)
    try:
        client.health()
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """One server. Its methods are those of `AsyncClient`, and wait. Close it, or use it in `with`."""

    def __init__(self, url: str, token: str | None = None, user: str | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sdgraph client", daemon=True)
        self._thread.start()
        self._client = AsyncClient(url, token, user)
        self.wait(self._client.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._loop.is_closed():
            return
        self.wait(self._client.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine of the asynchronous client."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, events: AsyncGenerator[Event]) -> Generator[Event]:
        """The items of an asynchronous generator of the client."""
        try:
            while (event := self.wait(_next(events))) is not None:
                yield event
        finally:
            self.wait(events.aclose())

    def health(self) -> Health:
        """That the server works, and its version."""
        return self.wait(self._client.health())

    def workflows(self) -> WorkflowList:
        """The workflows that the server has."""
        return self.wait(self._client.workflows())

    def models(self) -> ModelList:
        """The models that workflows can name on the server."""
        return self.wait(self._client.models())

    def pictures(self) -> PictureList:
        """The pictures that nodes can read on the server: those that ship, and the newest uploads."""
        return self.wait(self._client.pictures())

    def check(self, workflow: AnyWorkflow, inputs: Mapping[str, Any] | None = None) -> CheckAnswer:
        """Everything that is wrong with a workflow."""
        return self.wait(self._client.check(workflow, inputs))

    def plan(
        self, workflow: AnyWorkflow, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] | None = None
    ) -> PlanAnswer:
        """What a run would do, and how long that would take."""
        return self.wait(self._client.plan(workflow, inputs, outputs))

    def run(
        self,
        workflow: AnyWorkflow,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] | None = None,
        priority: int = 0,
    ) -> Run:
        """Let a workflow run as soon as it is its turn."""
        return Run(self, self.wait(self._client.run(workflow, inputs, outputs, priority)))

    def get(self, run_id: str) -> RunOut:
        """Everything about a run."""
        return self.wait(self._client.get(run_id))

    def wait_for(self, run_id: str) -> RunOut:
        """Wait for the end of a run of which only the id is known; everything about it then."""
        return self.wait(AsyncRun(self._client, run_id).result())

    def runs(
        self,
        search: str = "",
        inputs: Mapping[str, str] | None = None,
        status: Sequence[Status] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> RunList:
        """Runs, the newest first; `before` is the `next` of the page before."""
        return self.wait(self._client.runs(search, inputs, status, before, limit))

    def cancel(self, run_id: str) -> RunOut:
        """End a run: at once if it waits, within a step if it is performed."""
        return self.wait(self._client.cancel(run_id))

    def preview(self, key: str) -> NodePreview:
        """What a node gave, in small, by the key that runs and plans tell. Raises WorkflowError [preview-unknown] for a
        result that is not kept."""
        return self.wait(self._client.preview(key))

    def retry(self, run_id: str) -> Run:
        """Ask again for a run that ended."""
        return Run(self, self.wait(self._client.retry(run_id)))

    def upload(self, picture: bytes) -> UploadOut:
        """Give the server a picture; its `file` is what a node that loads one takes."""
        return self.wait(self._client.upload(picture))

    def content(self, url: str) -> bytes:
        """What is behind an address of the server, such as the `url` of a picture."""
        return self.wait(self._client.content(url))

    def events(self, run_id: str | None = None, after: int | None = None) -> Generator[Event]:
        """What happens, as it happens; of all runs or of one, after the event of a number."""
        return self.each(self._client.events(run_id, after))


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was asked for."""

    client: Client
    _run: AsyncRun

    @property
    def run_id(self) -> str:
        return self._run.run_id

    def events(self) -> Generator[Event]:
        """What happens in the run, from its beginning to its end."""
        return self.client.each(self._run.events())

    def result(self) -> RunOut:
        """Wait for the end; everything about the run then, also when it failed: look at its `status`."""
        return self.client.wait(self._run.result())

    def cancel(self) -> None:
        """End the run."""
        self.client.wait(self._run.cancel())
