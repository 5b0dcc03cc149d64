"""`/api/workflows`: the workflows that the server has.

Saving sends the version that was opened as `If-Match` (`If-None-Match: *` for a new one), so that two windows on one
workflow never overwrite each other unseen.
"""

from __future__ import annotations

from aiohttp import web

from sdgraph.core.document import load_document, to_data
from sdgraph.server.library import Saved
from sdgraph.server.needed import uploads_in
from sdgraph.server.routing import Route, answer, read_json
from sdgraph.server.schemas import WorkflowEntry, WorkflowList
from sdgraph.server.state import STATE, ServerState


async def list_workflows(request: web.Request) -> web.Response:
    """List the workflows, one's own and the templates."""
    state = request.app[STATE]
    return answer(await state.aside(_list, state))


async def get_workflow(request: web.Request) -> web.Response:
    """Give the document of a workflow; its version is the ETag."""
    state = request.app[STATE]
    found = await state.aside(state.library.get, request.match_info["name"])
    return web.Response(text=found.text, content_type="application/json", headers=_etag(found))


async def put_workflow(request: web.Request) -> web.Response:
    """Save a document under a name."""
    state = request.app[STATE]
    document = load_document(await read_json(request), max_nodes=state.max_nodes)
    for digest in uploads_in(to_data(document)):
        await state.aside(state.kept.find, digest)  # which lets it stay until the workflow that needs it is saved
    saved = await state.aside(state.library.put, request.match_info["name"], document, _expected(request))
    return answer(_entry(saved), headers=_etag(saved))


async def delete_workflow(request: web.Request) -> web.Response:
    """Remove a workflow of one's own; a template of its name shows again."""
    state = request.app[STATE]
    await state.aside(state.library.delete, request.match_info["name"], _expected(request))
    return web.Response(status=204)


_ONE = "/api/workflows/{name}"
ROUTES = (
    Route("GET", "/api/workflows", list_workflows, WorkflowList),
    Route("GET", _ONE, get_workflow, None),
    Route("PUT", _ONE, put_workflow, WorkflowEntry),
    Route("DELETE", _ONE, delete_workflow, None, status=204),
)


def _list(state: ServerState) -> WorkflowList:
    return WorkflowList(workflows=[_entry(found) for found in state.library])


def _entry(found: Saved) -> WorkflowEntry:
    return WorkflowEntry(
        name=found.name,
        title=found.document.name,
        description=found.document.description,
        shipped=found.shipped,
        version=found.version,
    )


def _etag(found: Saved) -> dict[str, str]:
    return {"ETag": f'"{found.version}"'}


def _expected(request: web.Request) -> str | None:
    """The version that the client has seen, "" for none; None when it does not care."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        return ""
    given = request.headers.get("If-Match")
    return None if given is None or given.strip() == "*" else given.strip().strip('"')
