"""Text in PNG files: reading it and adding it, without touching the pixels (PNG specification, section 11.3.3)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from sdgraph.errors import MediaError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT_BYTES = 64 * 2**20
"""All texts of one picture together, unpacked; what goes beyond is left out."""


def read_png_text(content: bytes) -> dict[str, str]:
    """The text chunks (tEXt, zTXt, iTXt) of a PNG by keyword; damaged or oversized ones are left out."""
    found: dict[str, str] = {}
    left_bytes = _MAX_TEXT_BYTES
    for kind, start, end in _chunks(content):
        if kind not in _TEXT_KINDS or not _intact(content, kind, start, end):
            continue
        try:
            keyword, text = _text(kind, content[start:end], left_bytes)
            found[keyword.decode("latin-1")] = text.decode("utf-8" if kind == b"iTXt" else "latin-1")
        except (zlib.error, UnicodeDecodeError, ValueError):
            continue
        left_bytes -= len(text)
    return found


def with_png_text(content: bytes, texts: Mapping[str, str]) -> bytes:
    """The same PNG with these texts as international chunks (UTF-8, packed when long) before its end.

    A text of the same keyword that is there already is replaced. Raises MediaError [png-damaged].
    """
    kept = [PNG_SIGNATURE]
    for kind, start, end in _chunks(content) if content.startswith(PNG_SIGNATURE) else ():
        if kind == b"IEND":
            added = (_text_chunk(keyword, text) for keyword, text in texts.items())
            return b"".join((*kept, *added, content[start - 8 : end + 4]))
        if kind not in _TEXT_KINDS or content[start:end].partition(b"\0")[0].decode("latin-1") not in texts:
            kept.append(content[start - 8 : end + 4])
    raise MediaError("png-damaged", "This is no complete PNG: it has no end chunk.", "Write the picture again.")


def _text(kind: bytes, data: bytes, limit_bytes: int) -> tuple[bytes, bytes]:
    keyword, _, rest = data.partition(b"\0")
    packed = kind == b"zTXt" or rest[:1] == b"\1"
    if kind == b"tEXt":
        packed, text = False, rest
    elif kind == b"zTXt":
        text = rest[1:]
    else:
        _, _, text = rest[2:].split(b"\0", 2)
    text = _inflate(text, limit_bytes) if packed else text
    if len(text) > limit_bytes:
        raise ValueError("too much text")
    return keyword, text


def _text_chunk(keyword: str, text: str) -> bytes:
    raw = text.encode()
    packed = len(raw) > 1024
    head = keyword.encode("latin-1") + (b"\0\1" if packed else b"\0\0") + b"\0\0\0"
    data = b"iTXt" + head + (zlib.compress(raw, 9) if packed else raw)
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's data; stops where the file is cut off."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        start, end = position + 8, position + 8 + length
        if end + 4 > len(content):
            return
        yield content[position + 4 : start], start, end
        position = end + 4


def _intact(content: bytes, kind: bytes, start: int, end: int) -> bool:
    return struct.unpack_from(">I", content, end)[0] == zlib.crc32(content[start:end], zlib.crc32(kind))


def _inflate(data: bytes, limit_bytes: int) -> bytes:
    worker = zlib.decompressobj()
    text = worker.decompress(data, limit_bytes + 1)
    if not worker.eof:
        raise ValueError("too much text, or cut off")
    return text
