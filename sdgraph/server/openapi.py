"""The OpenAPI 3.1 document of the server, made of its routes and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sdgraph import __version__
from sdgraph.server.problems import MEDIA_TYPE
from sdgraph.server.routing import Route
from sdgraph.server.schemas import ProblemOut

_PARTS = "#/components/schemas/{model}"


class ProblemDocument(BaseModel):
    """RFC 9457: what went wrong."""

    type: str
    title: str
    status: int
    detail: str
    problems: list[ProblemOut]


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The document."""
    listed = list(routes)
    models = {model for route in listed for model in (route.request, route.answer) if model} | {ProblemDocument}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, parts = models_json_schema([(model, "validation") for model in ordered], ref_template=_PARTS)
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sdgraph", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": parts["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    problem = {"description": "What went wrong.", "content": {MEDIA_TYPE: {"schema": _ref(ProblemDocument)}}}
    done: dict[str, Any] = {"description": "Done."}
    if route.answer is not None:
        done["content"] = {"application/json": {"schema": _ref(route.answer)}}
    operation: dict[str, Any] = {
        "operationId": route.handle.__name__,
        "description": route.description,
        "responses": {str(route.status): done, "default": problem},
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route)]:
        operation["parameters"] = parameters
    if route.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.request)}},
        }
    return operation


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(route: Route) -> Iterator[dict[str, Any]]:
    if route.query is None:
        return
    schema = route.query.model_json_schema()
    for name, field in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": field}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _PARTS.format(model=model.__name__)}
