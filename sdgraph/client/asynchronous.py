"""The client for programs that use asyncio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp

from sdgraph.client.transport import Transport, part, unreachable
from sdgraph.core.document import WorkflowDocument, to_data
from sdgraph.core.workflow import Workflow
from sdgraph.server.installed import ModelList
from sdgraph.server.preview_schemas import NodePreview
from sdgraph.server.run_schemas import RunAccepted, RunList, RunOut, Status
from sdgraph.server.schemas import CheckAnswer, Health, PlanAnswer, WorkflowList
from sdgraph.server.shipped import PictureList
from sdgraph.server.uploads import UploadOut

AnyWorkflow: TypeAlias = str | Workflow | WorkflowDocument | Mapping[str, Any]
"""A workflow that the server has, by its name; or one's own."""
Event: TypeAlias = Mapping[str, Any]

_ENDED = ("done", "partial", "failed", "cancelled")
_TRIES = 6
_FIRST_WAIT_S = 0.25
"""Before an event stream that broke is opened again; twice as long each time."""


class AsyncClient:
    """One server.

    Methods raise WorkflowError with all problems that the server has with what it is asked, and ServerError
    [server-unreachable] when it does not answer.
    """

    def __init__(self, url: str, token: str | None = None, user: str | None = None) -> None:
        """`user` says whose share of the workers runs take."""
        self._transport = Transport(url, token, user)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def health(self) -> Health:
        """That the server works, and its version."""
        return await self._transport.ask("GET", "/api/health", Health)

    async def workflows(self) -> WorkflowList:
        """The workflows that the server has."""
        return await self._transport.ask("GET", "/api/workflows", WorkflowList)

    async def models(self) -> ModelList:
        """The models that workflows can name on the server."""
        return await self._transport.ask("GET", "/api/models", ModelList)

    async def pictures(self) -> PictureList:
        """The pictures that nodes can read on the server: those that ship, and the newest uploads."""
        return await self._transport.ask("GET", "/api/pictures", PictureList)

    async def check(self, workflow: AnyWorkflow, inputs: Mapping[str, Any] | None = None) -> CheckAnswer:
        """Everything that is wrong with a workflow."""
        return await self._transport.ask("POST", "/api/check", CheckAnswer, _asked(workflow, inputs))

    async def plan(
        self, workflow: AnyWorkflow, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] | None = None
    ) -> PlanAnswer:
        """What a run would do, and how long that would take."""
        return await self._transport.ask("POST", "/api/plan", PlanAnswer, _asked(workflow, inputs, outputs))

    async def run(
        self,
        workflow: AnyWorkflow,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] | None = None,
        priority: int = 0,
    ) -> AsyncRun:
        """Let a workflow run as soon as it is its turn."""
        body = _asked(workflow, inputs, outputs) | {"priority": priority}
        accepted = await self._transport.ask("POST", "/api/runs", RunAccepted, body)
        return AsyncRun(self, accepted.run_id)

    async def get(self, run_id: str) -> RunOut:
        """Everything about a run."""
        return await self._transport.ask("GET", f"/api/runs/{part(run_id)}", RunOut)

    async def runs(
        self,
        search: str = "",
        inputs: Mapping[str, str] | None = None,
        status: Sequence[Status] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> RunList:
        """Runs, the newest first; `before` is the `next` of the page before."""
        values = [f"{name}:{value}" for name, value in (inputs or {}).items()]
        query = {"search": search, "input": values, "before": before, "limit": limit, "status": ",".join(status)}
        return await self._transport.ask("GET", "/api/runs", RunList, query=query)

    async def cancel(self, run_id: str) -> RunOut:
        """End a run: at once if it waits, within a step if it is performed."""
        return await self._transport.ask("DELETE", f"/api/runs/{part(run_id)}", RunOut)

    async def preview(self, key: str) -> NodePreview:
        """What a node gave, in small, by the key that runs and plans tell. Raises WorkflowError [preview-unknown] for a
        result that is not kept."""
        return await self._transport.ask("GET", f"/api/previews/{part(key)}", NodePreview)

    async def retry(self, run_id: str) -> AsyncRun:
        """Ask again for a run that ended."""
        accepted = await self._transport.ask("POST", f"/api/runs/{part(run_id)}/retry", RunAccepted, {})
        return AsyncRun(self, accepted.run_id)

    async def upload(self, picture: bytes) -> UploadOut:
        """Give the server a picture; its `file` is what a node that loads one takes."""
        return UploadOut.model_validate_json(await self._transport.send("POST", "/api/uploads", picture))

    async def content(self, url: str) -> bytes:
        """What is behind an address of the server, such as the `url` of a picture."""
        return await self._transport.send("GET", url)

    async def events(self, run_id: str | None = None, after: int | None = None) -> AsyncGenerator[Event]:
        """What happens, as it happens; of all runs or of one, after the event of a number.

        A connection that breaks is opened again, and nothing is told twice or left out.
        """
        tries = 0
        while True:
            try:
                async with aclosing(self._listen(run_id, after)) as events:
                    async for event in events:
                        tries, after = 0, max(after or 0, event["seq"])
                        yield event
                error: BaseException = ConnectionError("it closed the event stream")
            except (aiohttp.ClientError, TimeoutError) as found:
                error = found
            tries += 1
            if tries == _TRIES:
                raise unreachable(self._transport.url, error)
            await asyncio.sleep(_FIRST_WAIT_S * 2 ** (tries - 1))

    async def _listen(self, run_id: str | None, after: int | None) -> AsyncGenerator[Event]:
        wanted = {"after": after, "run_id": run_id}
        address = f"{self._transport.url}/api/events"
        async with self._transport.session.ws_connect(address, max_msg_size=0, autoping=True) as socket:
            await socket.send_json({name: value for name, value in wanted.items() if value is not None})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield json.loads(message.data)


@dataclass(frozen=True, slots=True)
class AsyncRun:
    """A run that was asked for."""

    client: AsyncClient
    run_id: str

    async def events(self) -> AsyncGenerator[Event]:
        """What happens in the run, from its beginning to its end."""
        async with aclosing(self.client.events(self.run_id, after=0)) as events:
            async for event in events:
                yield event
                if event["type"] == "run_finished":
                    return

    async def result(self) -> RunOut:
        """Wait for the end; everything about the run then, also when it failed: look at its `status`."""
        found = await self.client.get(self.run_id)
        if found.status not in _ENDED:
            async for _ in self.events():
                pass
            found = await self.client.get(self.run_id)
        return found

    async def cancel(self) -> None:
        """End the run."""
        await self.client.cancel(self.run_id)


def _asked(
    workflow: AnyWorkflow, inputs: Mapping[str, Any] | None, outputs: Sequence[str] | None = None
) -> dict[str, Any]:
    wanted = {} if outputs is None else {"outputs": list(outputs)}
    return {"workflow": _data(workflow), "inputs": dict(inputs or {}), **wanted}


def _data(workflow: AnyWorkflow) -> dict[str, Any]:
    if isinstance(workflow, str):
        return {"name": workflow}
    if isinstance(workflow, Workflow):
        workflow = workflow.to_document()
    return to_data(workflow) if isinstance(workflow, WorkflowDocument) else dict(workflow)
