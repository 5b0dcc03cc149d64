"""What an editor asks for, and what it gets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from sdgraph.server.schemas import Described


class OpenAnswer(Described):
    """The workflow that was in a file."""

    workflow: dict[str, Any]


class ExportRequest(Described):
    """A workflow that is wanted in another form."""

    model_config = ConfigDict(extra="forbid")

    workflow: dict[str, Any]
    """The document, or `{"name": "txt2img"}` for one that the server has."""
    kind: Literal["python"] = "python"


class ExportAnswer(Described):
    """A workflow in another form."""

    text: str


class TokensRequest(Described):
    """A prompt and how it is written."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(max_length=50_000)
    syntax: Literal["auto", "a1111", "comfy", "compel", "plain"] = "auto"
    """`auto` reads it as nodes do that are not told otherwise."""


class SegmentOut(Described):
    """A piece of a prompt and its weight."""

    text: str
    weight: float


class TokensAnswer(Described):
    """What a prompt comes to. Of a prompt that changes over the steps, its longest text counts."""

    tokens: int
    """Start and end not counted."""
    limit: int
    """Tokens that are read at once; more are read in chunks of so many."""
    segments: list[SegmentOut]
