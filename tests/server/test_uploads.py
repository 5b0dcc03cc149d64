"""Uploads: pictures are kept by their content; what is too large, no picture or a bomb leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from sdgraph.engine.pictures import PictureFolder
from sdgraph.payloads.places import picture_path
from sdgraph.server import picture_check
from tests.server.files import LIMIT, Files, picture, png_of, with_files


def codes(answer: Any) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tif"), ("GIF", "gif")],
)
def test_a_picture_is_kept_by_its_content_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    content = picture(kind)
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path))

    async def use(files: Files) -> None:
        status, answer = await files.upload(content, "application/octet-stream")
        assert (status, answer["file"]) == (201, f"upload:{digest}.{ending}")
        assert (answer["digest"], answer["width_px"], answer["height_px"]) == (digest, 30, 20)
        assert picture_path(answer["file"]).read_bytes() == content
        assert (await files.ask("GET", answer["url"]))[1] == content
        assert (await files.upload(content, "image/tiff"))[1] == answer
        assert files.left == []

    with_files(use, tmp_path)


def test_a_form_with_a_file_does_the_same(tmp_path: Path) -> None:
    content = picture()

    async def use(files: Files) -> None:
        form = FormData()
        form.add_field("picture", content, filename="../../../etc/passwd", content_type="text/html")
        reply, _ = await files.ask("POST", "/api/uploads", form)
        assert (await reply.json())["file"] == f"upload:{hashlib.sha256(content).hexdigest()}.png"
        assert {path.name for path in tmp_path.iterdir()} == {"uploads"}

    with_files(use, tmp_path)


BOMB = png_of(30_000, 30_000, zlib.compress(bytes(3_000_000)))
HUGE = png_of(2**31 - 1, 2**31 - 1, zlib.compress(b""))
LYING = png_of(4000, 4000, zlib.compress(bytes(100)))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run showpage\n"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "image-not-a-picture"),
        (b"hello", "image-not-a-picture"),
        (b"<html><script>alert(1)</script></html>", "image-not-a-picture"),
        (SVG, "image-not-a-picture"),
        (EPS, "image-not-a-picture"),
        (picture()[:30], "image-not-a-picture"),
        (picture("PNG", 200, 200)[:-300], "image-damaged"),
        (picture("JPEG", 200, 200)[:900], "image-damaged"),
        (BOMB, "image-too-large"),
        (HUGE, "image-too-large"),
        (LYING, "image-damaged"),
    ],
)
def test_what_is_no_whole_picture_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, code: str) -> None:
    async def use(files: Files) -> None:
        for kind in ("image/png", "application/octet-stream"):
            status, answer = await files.upload(content, kind)
            assert (status, codes(answer)) == (422, [code])
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    with_files(use, tmp_path)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_check, "MAX_PIXELS", 30 * 20 - 1)

    async def use(files: Files) -> None:
        status, answer = await files.upload(png_of(30, 20, b"no pixels at all"))
        assert (status, codes(answer)) == (422, ["image-too-large"])

    with_files(use, tmp_path)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "video/mp4"])
def test_what_does_not_say_that_it_is_a_picture_is_refused(tmp_path: Path, kind: str) -> None:
    async def use(files: Files) -> None:
        status, answer = await files.upload(picture(), kind)
        assert (status, codes(answer)) == (415, ["media-type-refused"])

    with_files(use, tmp_path)


async def _endless() -> AsyncGenerator[bytes]:
    yield picture()
    while True:
        yield bytes(50_000)


@pytest.mark.parametrize("form", [False, True])
def test_more_bytes_than_are_taken_are_refused_while_they_come(tmp_path: Path, form: bool) -> None:
    async def use(files: Files) -> None:
        content: Any = _endless()
        kind = {"Content_Type": "image/png"}
        if form:
            content, kind = FormData(), {}
            content.add_field("picture", bytes(LIMIT + 1), filename="a.png")
        reply, _ = await files.ask("POST", "/api/uploads", content, **kind)
        assert (reply.status, codes(await reply.json(content_type=None))) == (413, ["body-too-large"])
        assert files.left == []

    with_files(use, tmp_path)


def test_a_length_that_is_too_large_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    async def use(files: Files) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", files.port)
        writer.write(
            b"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000000000000\r\n\r\n"
        )
        assert b" 413 " in await reader.readline()
        writer.close()

    with_files(use, tmp_path)


@pytest.mark.parametrize(
    "form", [b"--x--\r\n", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n"]
)
def test_a_form_without_a_file_is_refused(tmp_path: Path, form: bytes) -> None:
    async def use(files: Files) -> None:
        status, answer = await files.upload(form, "multipart/form-data; boundary=x")
        assert (status, codes(answer)) == (422, ["request-invalid"])

    with_files(use, tmp_path)


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    async def use(files: Files) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", files.port)
        writer.write(
            b"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 300000\r\n\r\n" + bytes(300_000 - 1)
        )
        async with asyncio.timeout(30):
            while not files.left:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            while files.left:
                await asyncio.sleep(0.01)

    with_files(use, tmp_path)


def test_a_client_that_sends_nothing_more_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdgraph.server.uploads._SILENCE_S", 0.1)

    async def use(files: Files) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", files.port)
        writer.write(
            b"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 900\r\n\r\nhello"
        )
        assert b" 408 " in await reader.readline()
        assert files.left == []
        writer.close()

    with_files(use, tmp_path)


def test_what_a_killed_server_left_goes_with_the_next_upload(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\nfrom sdgraph.engine.pictures import PictureFolder\n"
        "with PictureFolder(pathlib.Path(sys.argv[1])).incoming() as folder:\n"
        "    (folder / 'upload').write_bytes(bytes(1000))\n    os._exit(9)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "uploads")], env=env, check=False)
    assert done.returncode == 9

    async def use(files: Files) -> None:
        assert len(files.left) == 1
        assert (await files.upload(picture()))[0] == 201
        assert files.left == []

    with_files(use, tmp_path)


def test_what_others_are_about_to_take_stays(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path / "uploads")
    with folder.incoming() as mine:
        (mine / "part").write_bytes(b"1")
        with folder.incoming():
            assert (mine / "part").exists()
    assert not mine.exists()
