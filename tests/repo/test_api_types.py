"""The editor's types of the API are those of the server."""

from __future__ import annotations

from sdgraph.server.app import ROUTES
from sdgraph.server.openapi import openapi
from tools.api_types import TARGET, typescript


def test_the_types_of_the_editor_are_made_of_the_servers_models() -> None:
    assert TARGET.read_text(encoding="utf-8") == typescript(openapi(ROUTES)), "run `make docs`"


def test_every_route_has_its_types() -> None:
    text = TARGET.read_text(encoding="utf-8")
    for route in ROUTES:
        assert f"  readonly {route.handle.__name__}: {{\n" in text
        for model in (route.answer, route.request):
            assert model is None or f" {model.__name__} " in text
