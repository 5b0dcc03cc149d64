"""Frames: what goes over the channel between a worker and whoever drives it.

A frame is one byte for its kind, four bytes for its length (big-endian), and its content: a JSON object, or a preview.
A preview is laid out as browsers get it: four bytes for the length of a JSON header, the header, the picture file.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

Message: TypeAlias = Mapping[str, Any]

MAX_FRAME_BYTES = 128 * 2**20
"""A workflow of the largest size with its inputs, or the report of one."""
_HEAD = struct.Struct(">BI")
_LENGTH = struct.Struct(">I")
_JSON, _PREVIEW = 0, 1


class BadFrame(ValueError):
    """The other side sent what no worker sends."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a picture looks like while it is made."""

    run_id: str
    node: str
    content: bytes
    """A picture file."""
    media_type: str

    def to_bytes(self) -> bytes:
        head = {"type": "preview", "run_id": self.run_id, "node": self.node, "media_type": self.media_type}
        header = _dump(head)
        return _LENGTH.pack(len(header)) + header + self.content

    @classmethod
    def from_bytes(cls, data: bytes) -> Preview:
        """Raises BadFrame."""
        try:
            (length,) = _LENGTH.unpack_from(data)
            start = _LENGTH.size + length
            header = json.loads(data[_LENGTH.size : start])
            return cls(header["run_id"], header["node"], data[start:], header["media_type"])
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise BadFrame(f"a preview can't be read: {error}") from None


Frame: TypeAlias = Message | Preview


def encode(frame: Frame) -> bytes:
    """A frame as bytes. Raises BadFrame for one that is too large."""
    kind, content = (_PREVIEW, frame.to_bytes()) if isinstance(frame, Preview) else (_JSON, _dump(frame))
    if len(content) > MAX_FRAME_BYTES:
        raise BadFrame(f"a frame has {len(content):,} bytes; at most {MAX_FRAME_BYTES:,} are sent")
    return _HEAD.pack(kind, len(content)) + content


def read(stream: BinaryIO) -> Frame | None:
    """The next frame; None at the end of the stream, also in the middle of a frame. Raises BadFrame."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, length = _parse_head(head)
    content = stream.read(length)
    return _decode(kind, content) if len(content) == length else None


async def read_async(stream: asyncio.StreamReader) -> Frame | None:
    """The same without blocking."""
    try:
        kind, length = _parse_head(await stream.readexactly(_HEAD.size))
        return _decode(kind, await stream.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _parse_head(head: bytes) -> tuple[int, int]:
    kind, length = _HEAD.unpack(head)
    if kind not in (_JSON, _PREVIEW) or length > MAX_FRAME_BYTES:
        raise BadFrame(f"no frame begins with {head!r}")
    return kind, length


def _decode(kind: int, content: bytes) -> Frame:
    if kind == _PREVIEW:
        return Preview.from_bytes(content)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a message can't be read: {error}") from None
    if not isinstance(found, dict):
        raise BadFrame(f"a message is a {type(found).__name__}")
    return found


def _dump(data: Message) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
