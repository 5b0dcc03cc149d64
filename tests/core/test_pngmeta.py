"""Text in PNG files."""

import struct
import zlib

import pytest

from sdgraph.core.pngmeta import read_png_text, with_png_text
from sdgraph.errors import MediaError


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_HEADER = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
_START = b"\x89PNG\r\n\x1a\n" + _HEADER
_REST = _chunk(b"IDAT", zlib.compress(b"\0\1\2\3")) + _chunk(b"IEND", b"")
PIXEL = _START + _REST


def test_text_comes_back_as_written_and_the_pixels_stay() -> None:
    texts = {"sdgraph.workflow": "{}", "long": "ü€😀" * 1000, "empty": ""}
    marked = with_png_text(PIXEL, texts)
    assert read_png_text(marked) == texts
    assert marked.startswith(_START)


def test_writing_a_text_again_replaces_it() -> None:
    twice = with_png_text(with_png_text(PIXEL, {"a": "1", "b": "2"}), {"a": "3"})
    assert read_png_text(twice) == {"a": "3", "b": "2"}
    assert twice.count(b"iTXt") == 2


def test_pixels_that_spell_iend_do_not_confuse_the_writer() -> None:
    picture = _START + _chunk(b"prVt", b"IEND IEND") + _REST + b"IEND rubbish"
    assert read_png_text(with_png_text(picture, {"a": "1"})) == {"a": "1"}


def test_the_older_kinds_of_text_are_read() -> None:
    old = _chunk(b"tEXt", b"Title\0caf\xe9") + _chunk(b"zTXt", b"Note\0\0" + zlib.compress(b"packed"))
    assert read_png_text(_START + old + _REST) == {"Title": "café", "Note": "packed"}


def test_damaged_text_is_left_out() -> None:
    marked = with_png_text(PIXEL, {"a": "hello"})
    assert read_png_text(marked.replace(b"hello", b"hellO")) == {}
    odd = _chunk(b"iTXt", b"x\0\1\0\0\0not packed") + _chunk(b"iTXt", b"no end") + _chunk(b"iTXt", b"y\0\0\0\0\0\xff")
    assert read_png_text(_START + odd + _REST) == {}


def test_a_decompression_bomb_is_left_out() -> None:
    bomb = _chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(65 * 2**20), 9))
    assert read_png_text(_START + bomb + _REST) == {}


@pytest.mark.parametrize("content", [b"", b"GIF89a", PIXEL[:-8], _START])
def test_a_file_without_an_end_chunk_takes_no_text(content: bytes) -> None:
    with pytest.raises(MediaError, match="png-damaged"):
        with_png_text(content, {"a": "1"})
