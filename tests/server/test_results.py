"""Pictures by digest: the same bytes for ever, small copies, and no way to any other file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from sdgraph.engine.pictures import PictureFolder
from tests.server.files import Files, picture, with_files


def kept(home: Path, content: bytes, ending: str = ".png") -> str:
    """The digest of a picture that a worker kept."""
    folder = PictureFolder(home / "pictures")
    with folder.incoming() as place:
        file = place / f"one{ending}"
        file.write_bytes(content)
        return folder.take(file).digest


@pytest.mark.parametrize(
    ("kind", "ending", "media_type"),
    [("PNG", ".png", "image/png"), ("JPEG", ".jpg", "image/jpeg"), ("WEBP", ".webp", "image/webp")],
)
def test_a_picture_is_given_as_what_it_is_and_kept_by_browsers_for_ever(
    tmp_path: Path, kind: str, ending: str, media_type: str
) -> None:
    content = picture(kind)
    digest = kept(tmp_path, content, ending)

    async def use(files: Files) -> None:
        reply, body = await files.ask("GET", f"/api/results/{digest}")
        assert (reply.status, body) == (200, content)
        assert reply.headers["Content-Type"] == media_type
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["ETag"] == f'"{digest}"'
        assert reply.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        again, body = await files.ask("GET", f"/api/results/{digest}", If_None_Match=reply.headers["ETag"])
        assert (again.status, body, again.headers["ETag"]) == (304, b"", f'"{digest}"')
        other, body = await files.ask("GET", f"/api/results/{digest}", If_None_Match='"something else"')
        assert (other.status, body) == (200, content)

    with_files(use, tmp_path)


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=10-", 206, 10, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=9999999-", 416, 0, 0),
    ],
)
def test_a_part_of_a_picture_can_be_asked_for(
    tmp_path: Path, asked: str, status: int, first: int, last: int | None
) -> None:
    content = picture()
    digest = kept(tmp_path, content)

    async def use(files: Files) -> None:
        reply, body = await files.ask("GET", f"/api/results/{digest}", Range=asked)
        assert (reply.status, body) == (status, content[first:last])

    with_files(use, tmp_path)


def test_a_thumbnail_is_small_made_once_and_a_version_of_its_own(tmp_path: Path) -> None:
    digest = kept(tmp_path, picture(width_px=400, height_px=200))

    async def use(files: Files) -> None:
        reply, body = await files.ask("GET", f"/api/results/{digest}?thumbnail_px=100")
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert reply.headers["ETag"] == f'"{digest}-128"'
        with Image.open(BytesIO(body)) as small:
            assert (small.format, small.size) == ("JPEG", (128, 64))
        [made] = (tmp_path / "pictures" / "thumbnails").rglob("*.jpg")
        made.write_bytes(b"from the disk")
        assert (await files.ask("GET", f"/api/results/{digest}?thumbnail_px=128"))[1] == b"from the disk"
        large, body = await files.ask("GET", f"/api/results/{digest}?thumbnail_px=1024")
        with Image.open(BytesIO(body)) as small:
            assert small.size == (400, 200)  # never enlarged
        assert large.headers["ETag"] == f'"{digest}-1024"'

    with_files(use, tmp_path)


@pytest.mark.parametrize("asked", ["0", "-1", "1025", "x", "", "1e9"])
def test_sizes_that_are_none_are_refused(tmp_path: Path, asked: str) -> None:
    digest = kept(tmp_path, picture())

    async def use(files: Files) -> None:
        reply, _ = await files.ask("GET", f"/api/results/{digest}?thumbnail_px={asked}")
        assert reply.status == 422

    with_files(use, tmp_path)


@pytest.mark.parametrize(
    "digest",
    ["..%2f..%2fsecret", "%2e%2e/secret", "../secret", "secret", "0" * 64, "A" * 64, "0" * 63, "%00", "%2fetc%2fpasswd",
     "0" * 60 + "%2f..", "x" * 5000, "incoming", "thumbnails"],
)  # fmt: skip
def test_no_digest_leads_to_another_file(tmp_path: Path, digest: str) -> None:
    (tmp_path / "secret").write_text("hidden")
    (tmp_path / "secret.png").write_text("hidden")
    kept(tmp_path, picture())

    async def use(files: Files) -> None:
        reply, body = await files.ask("GET", f"/api/results/{digest}")
        assert reply.status in (400, 404, 414)
        assert b"hidden" not in body

    with_files(use, tmp_path)


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    digest = kept(tmp_path, picture())
    [file] = (tmp_path / "pictures").rglob("*.png")
    (tmp_path / "secret").write_text("hidden")
    file.unlink()
    file.symlink_to(tmp_path / "secret")

    async def use(files: Files) -> None:
        assert (await files.ask("GET", f"/api/results/{digest}"))[0].status == 404

    with_files(use, tmp_path)
