"""Text in PNG files: reading it and adding it, without touching the pixels (PNG specification, section 11.3.4)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT_BYTES = 64 * 2**20


def read_png_text(content: bytes) -> dict[str, str]:
    """The text chunks (tEXt, zTXt, iTXt) of a PNG by keyword; damaged or oversized ones are left out."""
    found: dict[str, str] = {}
    for kind, data in _chunks(content):
        keyword, _, rest = data.partition(b"\0")
        try:
            if kind == b"tEXt":
                found[keyword.decode("latin-1")] = rest.decode("latin-1")
            elif kind == b"zTXt":
                found[keyword.decode("latin-1")] = _inflate(rest[1:]).decode("latin-1")
            elif kind == b"iTXt":
                compressed, (_, _, text) = (
                    rest[0] == 1,
                    rest[2:].split(b"\0", 2) if rest[2:].count(b"\0") >= 2 else (b"", b"", b""),
                )
                found[keyword.decode("latin-1")] = (_inflate(text) if compressed else text).decode()
        except (zlib.error, UnicodeDecodeError, ValueError, IndexError):
            continue
    return found


def with_png_text(content: bytes, texts: Mapping[str, str]) -> bytes:
    """The same PNG with international text chunks (UTF-8, compressed when long) before its end."""
    end = content.rindex(b"IEND") - 4
    added = b"".join(_text_chunk(keyword, text) for keyword, text in texts.items())
    return content[:end] + added + content[end:]


def _text_chunk(keyword: str, text: str) -> bytes:
    raw = text.encode()
    packed = zlib.compress(raw, 9) if len(raw) > 1024 else None
    head = keyword.encode("latin-1") + b"\0" + (b"\1" if packed is not None else b"\0") + b"\0\0\0"
    data = b"iTXt" + head + (packed if packed is not None else raw)
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack(">I", content[position : position + 4])
        yield content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        position += 12 + length


def _inflate(data: bytes) -> bytes:
    worker = zlib.decompressobj()
    text = worker.decompress(data, _MAX_TEXT_BYTES)
    if worker.unconsumed_tail:
        raise ValueError("text chunk too large")
    return text
