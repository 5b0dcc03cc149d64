"""A tiny model with random weights, and contexts that run nodes on it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText

from sdgraph.models.checkpoint import Checkpoint, read_checkpoint, read_controlnet
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.handles import ControlNetHandle
from sdgraph.payloads.latents import Latents
from tests.toys import RecordingContext

SOURCE = "synthetic:sd15-tiny"


@cache
def pool() -> ModelPool:
    """One pool for all tests of a process."""
    return ModelPool()


@cache
def model() -> Checkpoint:
    return read_checkpoint(SOURCE)


@cache
def controlnet() -> ControlNetHandle:
    return read_controlnet(f"{SOURCE}/controlnet_canny")


def context(**options: Any) -> RecordingContext:
    return RecordingContext(pool(), **options)


@cache
def prompt(text: str) -> Conditioning:
    out: Any = EncodeText(text_encoder=model().text_encoder, prompt=text).run(context())
    return out.conditioning


def empty(batch: int = 1, width_px: int = 64, height_px: int = 64) -> Latents:
    out: Any = EmptyLatents(width_px=width_px, height_px=height_px, batch=batch).run(context())
    return out.latents
