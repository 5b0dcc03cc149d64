"""`/api/pictures`: what nodes can read, each with an address for a thumbnail."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from sdgraph_nodes.picture_reader import picture_size

from sdgraph.client import connect
from tests.server.conftest import Running
from tests.server.files import picture


def listed(server: Running) -> list[dict[str, Any]]:
    return server.ask("GET", "/api/pictures").json["pictures"]


def test_pictures_that_ship_are_listed_as_nodes_read_them(server: Running) -> None:
    found = {entry["file"]: (entry["width_px"], entry["height_px"]) for entry in listed(server)}
    assert "builtin:star.png" in found
    assert found == {file: picture_size(file) for file in found}


def test_each_has_a_thumbnail(server: Running) -> None:
    entry = next(entry for entry in listed(server) if entry["file"] == "builtin:star.png")
    with connect(f"http://127.0.0.1:{server.port}") as client:
        small = client.content(f"{entry['url']}?thumbnail_px=64")
        whole = client.content(entry["url"])
    with Image.open(BytesIO(small)) as opened:
        assert (opened.format, max(opened.size)) == ("JPEG", 64)
    with Image.open(BytesIO(whole)) as opened:
        assert opened.size == (entry["width_px"], entry["height_px"])


def test_uploads_come_after_them_the_newest_first_whatever_is_looked_at(server: Running, tmp_path: Path) -> None:
    with connect(f"http://127.0.0.1:{server.port}") as client:
        kept = [client.upload(picture(width_px=edge_px)) for edge_px in (4, 5, 6)]
        folder = server.folder / "home" / "uploads"
        for uploaded_s, upload in zip((300, 100, 200), kept, strict=True):
            os.utime(next(folder.rglob(f"{upload.digest}.png")), (uploaded_s, uploaded_s))
        client.content(f"{kept[1].url}?thumbnail_px=64")
        (folder / "aa").mkdir(exist_ok=True)
        (folder / "aa" / f"{'a' * 64}.png").write_bytes(b"damaged")
        (folder / "aa" / f"{'b' * 64}.png").symlink_to(tmp_path / "server.db")
        (folder / "aa" / "secret.png").write_bytes(picture())
        uploads = [found for found in client.pictures().pictures if found.origin == "upload"]
    assert [(found.file, found.width_px) for found in uploads] == [
        (kept[index].file, kept[index].width_px) for index in (0, 2, 1)
    ]


def test_no_place_of_the_server_is_told(server: Running) -> None:
    assert str(server.folder) not in json.dumps(listed(server))
