"""What an editor asks for: the workflow inside a file, a workflow as Python, the tokens of a prompt."""

from __future__ import annotations

from aiohttp import web

from sdgraph.core.codegen import to_python
from sdgraph.core.document import parse_document, to_data
from sdgraph.core.pngmeta import PNG_SIGNATURE, read_png_text
from sdgraph.errors import Problem, WorkflowError
from sdgraph.models.clip_counter import ROOM, count_clip_tokens
from sdgraph.models.prompt import Syntax, parse_prompt
from sdgraph.models.prompt_plan import plan_prompt
from sdgraph.server.asked import document_of
from sdgraph.server.edit_schemas import ExportAnswer, ExportRequest, OpenAnswer, SegmentOut, TokensAnswer, TokensRequest
from sdgraph.server.routing import Route, answer, read_body
from sdgraph.server.state import STATE, ServerState

_OPENED = ("application/json", "application/octet-stream", "image/png")


async def open_file(request: web.Request) -> web.Response:
    """Give the workflow that is in a file: a PNG that sdgraph wrote, or JSON. Nothing of it is kept."""
    if request.content_type not in _OPENED:
        message = f"The body is {request.content_type[:100]!r}, expected a PNG or JSON."
        hint = f"Send it with a `Content-Type` of {', '.join(_OPENED)}."
        raise WorkflowError([Problem("media-type-refused", message, hint)])
    state, content = request.app[STATE], await request.read()
    return answer(await state.aside(_opened, state, content))


async def export(request: web.Request) -> web.Response:
    """Write a workflow in another form: as Python that builds it."""
    state, body = request.app[STATE], await read_body(request, ExportRequest)
    return answer(await state.aside(_exported, state, body))


async def count_tokens(request: web.Request) -> web.Response:
    """Count the tokens of a prompt as CLIP reads it, and take its weights apart."""
    state, body = request.app[STATE], await read_body(request, TokensRequest)
    return answer(await state.aside(_counted, body))


ROUTES = (
    Route("POST", "/api/open", open_file, OpenAnswer),
    Route("POST", "/api/export", export, ExportAnswer, ExportRequest),
    Route("POST", "/api/tokens", count_tokens, TokensAnswer, TokensRequest),
)


def _opened(state: ServerState, content: bytes) -> OpenAnswer:
    if content.startswith(PNG_SIGNATURE):
        embedded = read_png_text(content).get("sdgraph.workflow")
        if embedded is None:
            message = "The picture carries no sdgraph workflow."
            hint = "Send it as sdgraph wrote it; many programs drop the metadata when they save."
            raise WorkflowError([Problem("png-without-workflow", message, hint)])
        content = embedded.encode()
    return OpenAnswer(workflow=to_data(parse_document(content, max_nodes=state.max_nodes)))


def _exported(state: ServerState, body: ExportRequest) -> ExportAnswer:
    document = document_of(state, body.workflow)
    return ExportAnswer(text=to_python(document, state.registry))


def _counted(body: TokensRequest) -> TokensAnswer:
    syntax: Syntax = "a1111" if body.syntax == "auto" else body.syntax
    texts = plan_prompt(body.prompt, syntax).texts or ("",)
    read = [[segment for section in parse_prompt(text, syntax) for segment in section] for text in texts]
    counts = [sum(count_clip_tokens(segment.text) for segment in segments) for segments in read]
    longest = counts.index(max(counts))
    segments = [SegmentOut(text=segment.text, weight=segment.weight) for segment in read[longest]]
    return TokensAnswer(tokens=counts[longest], limit=ROOM, segments=segments)
