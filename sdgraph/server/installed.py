"""`/api/models`: what the port of a loader can name here."""

from __future__ import annotations

from aiohttp import web

from sdgraph.models.inventory import Installed, Inventory
from sdgraph.models.kinds import ModelKind
from sdgraph.server.routing import Route, answer
from sdgraph.server.schemas import Described
from sdgraph.server.state import STATE


class ModelOut(Described):
    """A model that is here."""

    source: str
    """What the `source` of a node that loads it takes."""
    kind: ModelKind
    """What loads it; `other`: no node does."""
    what: str
    """What it is, in words."""
    family: str | None = None
    """The model family of a checkpoint."""
    bytes: int
    origin: str
    """`builtin`, `folder` (of `SDGRAPH_MODEL_FOLDERS`) or `hub` (its cache on this machine)."""


class ModelList(Described):
    """The models that are here, built-in ones first."""

    models: list[ModelOut]
    truncated: bool
    """There are more than are listed."""


INVENTORY = web.AppKey("inventory", Inventory)


async def get_models(request: web.Request) -> web.Response:
    """List the models that workflows can name: built-in ones, those of the model folders and of the hub's cache."""
    listed = await request.app[STATE].aside(request.app[INVENTORY].list)
    return answer(ModelList(models=[_out(model) for model in listed.models], truncated=listed.truncated))


ROUTES = (Route("GET", "/api/models", get_models, ModelList),)


def _out(model: Installed) -> ModelOut:
    known = model.known
    return ModelOut(
        source=model.source,
        kind=known.kind,
        what=known.what,
        family=known.family,
        bytes=model.size_bytes,
        origin=model.origin,
    )
