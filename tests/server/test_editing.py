"""Opening files, exporting Python and counting tokens over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sdgraph.core.pngmeta import with_png_text
from tests.core.documents import data
from tests.server.conftest import TEMPLATE, Running


def png(**texts: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (4, 4)).save(target, "png")
    return with_png_text(target.getvalue(), {name.replace("_", "."): text for name, text in texts.items()})


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
def test_a_json_file_is_opened_with_nodes_that_nobody_knows(server: Running, kind: str) -> None:
    document = data({"x": {"type": "never.seen", "version": 7, "values": {"a": 1}}}, name="strange")
    reply = server.ask("POST", "/api/open", json.dumps(document).encode(), Content_Type=kind)
    assert reply.json["workflow"]["nodes"]["x"] == document["nodes"]["x"]


def test_a_picture_is_opened_by_the_workflow_it_carries(server: Running) -> None:
    reply = server.ask("POST", "/api/open", png(sdgraph_workflow=json.dumps(TEMPLATE)), Content_Type="image/png")
    assert reply.json["workflow"]["name"] == "template"


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (png(), "image/png", "png-without-workflow"),
        (b"\x89PNG\r\n\x1a\nbroken", "image/png", "png-without-workflow"),
        (png(sdgraph_workflow="{"), "image/png", "not-json"),
        (b"[" * 100_000, "application/json", "nested-too-deeply"),
        (b"{}", "text/plain", "media-type-refused"),
    ],
)
def test_what_is_no_workflow_is_told_so(server: Running, body: bytes, kind: str, code: str) -> None:
    assert server.ask("POST", "/api/open", body, Content_Type=kind).codes == [code]


def test_an_exported_program_builds_the_workflow(server: Running) -> None:
    reply = server.ask("POST", "/api/export", {"workflow": {"name": "template"}, "kind": "python"})
    compile(reply.json["text"], "exported.py", "exec")
    assert "Oscillator" in reply.json["text"]
    assert server.ask("POST", "/api/export", {"workflow": TEMPLATE, "kind": "perl"}).codes == ["request-invalid"]


def tokens(server: Running, **body: Any) -> Any:
    return server.ask("POST", "/api/tokens", body).json


def test_a_prompt_is_counted_and_its_weights_taken_apart(server: Running) -> None:
    found = tokens(server, syntax="a1111", prompt="a (red:1.5) star")
    assert (found["tokens"], found["limit"]) == (3, 75)
    assert [(part["text"].strip(), part["weight"]) for part in found["segments"]] == [
        ("a", 1.0),
        ("red", 1.5),
        ("star", 1.0),
    ]
    assert tokens(server, syntax="plain", prompt="a (red:1.5) star")["tokens"] > 3


def test_the_longest_text_of_a_prompt_that_changes_counts(server: Running) -> None:
    assert tokens(server, prompt="a [cat:very large dog:0.5]")["tokens"] == 4
    assert tokens(server, prompt="") == {"tokens": 0, "limit": 75, "segments": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"syntax": "latin", "prompt": "x"}, "request-invalid"),
        ({"prompt": "x" * 60_000}, "request-invalid"),
        ({"prompt": "\ud800"}, "request-invalid"),
    ],
)
def test_what_is_no_prompt_is_told_so(server: Running, body: dict[str, Any], code: str) -> None:
    assert server.ask("POST", "/api/tokens", body).codes == [code]


def test_counting_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, sdgraph.server.editing as e, sdgraph.server.edit_schemas as s;"
        "e._counted(s.TokensRequest(prompt='a cat'));"
        "print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
