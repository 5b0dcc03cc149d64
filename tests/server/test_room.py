"""Room on the disk: what nobody uses goes, the longest unused first, and nothing that somebody needs."""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sdgraph.server import sweeping
from sdgraph.server.room import RECENT_S, Budget, Janitor, touch
from tests.core.documents import data
from tests.server.conftest import PICTURES_BUDGET, UPLOADS_BUDGET, Running, serving
from tests.server.test_running import NODES, ask, ended

NOW = 1_000_000.0
OLD_S = time.time() - 10 * RECENT_S


def stored(folder: Path, digest: str, size_bytes: int, used_s: float) -> Path:
    path = folder / digest[:2] / f"{digest}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    os.utime(path, (used_s, used_s))
    return path


def digest_of(number: int) -> str:
    return f"{number:064x}"


def sweep(folder: Path, limit_bytes: int, needed: set[str]) -> set[str]:
    """The digests that are left."""
    nowhere = Budget(folder / "uploads", 0)
    Janitor(nowhere, [Budget(folder / "pictures", limit_bytes)], lambda: needed, lambda: NOW).sweep()
    return {path.stem for path in (folder / "pictures").rglob("*.png")}


FILES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2 * int(RECENT_S)), st.booleans()), max_size=12)


@given(FILES, st.integers(0, 300))
def test_what_goes_was_used_before_what_stays_and_is_needed_by_nobody(
    files: list[tuple[int, int, bool]], limit_bytes: int
) -> None:
    by_digest = {digest_of(number): file for number, file in enumerate(files)}
    needed = {digest for digest, file in by_digest.items() if file[2]}
    with tempfile.TemporaryDirectory() as place:
        for digest, (size_bytes, unused_s, _) in by_digest.items():
            stored(Path(place, "pictures"), digest, size_bytes, NOW - unused_s)
        left = sweep(Path(place), limit_bytes, needed)
    recent = {digest for digest, file in by_digest.items() if file[1] <= RECENT_S}
    gone = by_digest.keys() - left
    assert not gone & (needed | recent)
    held_bytes = sum(by_digest[digest][0] for digest in left)
    might_go = left - needed - recent
    assert held_bytes <= limit_bytes or not might_go
    if gone and might_go:
        assert min(by_digest[digest][1] for digest in gone) >= max(by_digest[digest][1] for digest in might_go)
    if sum(file[0] for file in files) <= limit_bytes:
        assert not gone


def test_links_and_what_is_still_coming_are_left_alone(tmp_path: Path) -> None:
    elsewhere = stored(tmp_path / "elsewhere", digest_of(1), 100, 0)
    coming = tmp_path / "pictures" / "incoming" / "somebody" / "upload"
    coming.parent.mkdir(parents=True)
    coming.write_bytes(bytes(100))
    os.utime(coming, (0, 0))
    (tmp_path / "pictures" / "link.png").symlink_to(elsewhere)
    stored(tmp_path / "pictures", digest_of(2), 100, 0)
    assert sweep(tmp_path, 0, set()) == {"link"}
    assert (elsewhere.exists(), coming.exists()) == (True, True)


def test_to_use_a_file_lets_it_stay_and_does_not_change_when_it_was_written(tmp_path: Path) -> None:
    path = stored(tmp_path, digest_of(1), 1, 5.0)
    assert touch(path)
    status = path.stat()
    assert status.st_mtime == 5.0
    assert status.st_atime > OLD_S
    path.unlink()
    assert not touch(path)


# On a server.


def noise(seed: int) -> bytes:
    """A picture of about 30 kB."""
    target = BytesIO()
    Image.frombytes("RGB", (100, 100), random.Random(seed).randbytes(30_000)).save(target, "PNG")
    return target.getvalue()


def upload(server: Running, seed: int) -> dict[str, Any]:
    reply = server.ask("POST", "/api/uploads", noise(seed), Content_Type="image/png")
    assert reply.status == 201, reply.text
    return reply.json


def age(server: Running) -> None:
    """Let everything be as old as if nobody had used it for long."""
    for path in (server.folder / "home").rglob("*.png"):
        os.utime(path, (OLD_S, OLD_S))


def naming(file: str) -> dict[str, Any]:
    return data(NODES, {"wave": "l.wave"}, name="naming", description=f"Looks at {file}.")


def there(server: Running, *pictures: dict[str, Any]) -> list[bool]:
    return [(server.folder / "home" / "uploads" / p["digest"][:2] / f"{p['digest']}.png").exists() for p in pictures]


def test_of_uploads_those_go_that_were_used_the_longest_ago(server: Running) -> None:
    first, second, third = (upload(server, seed) for seed in range(3))
    for later, one in enumerate((first, second, third)):
        path = server.folder / "home" / "uploads" / one["digest"][:2] / f"{one['digest']}.png"
        os.utime(path, (OLD_S + later, OLD_S + later))
    etag = f'"{first["digest"]}"'
    assert server.ask("GET", first["url"], If_None_Match=etag).status == 304
    fourth = upload(server, 3)
    assert there(server, first, second, third, fourth) == [True, False, True, True]


def test_uploads_that_somebody_needs_stay_and_the_next_one_is_refused(server: Running) -> None:
    queued, saved, pinned = (upload(server, seed) for seed in range(3))
    run_id = ask(server, workflow=naming(pinned["file"]))
    ended(server, run_id)
    assert server.ask("PATCH", f"/api/runs/{run_id}", {"pinned": True}).json["pinned"] is True
    server.worker.gate.clear()
    waiting = [ask(server, workflow=naming(queued["file"])) for _ in range(2)]
    assert server.ask("PUT", "/api/workflows/mine", naming(saved["file"])).status == 200
    age(server)
    refused = server.ask("POST", "/api/uploads", noise(9), Content_Type="image/png")
    assert (refused.status, refused.codes) == (507, ["uploads-full"])
    assert there(server, queued, saved, pinned) == [True, True, True]
    assert not list((server.folder / "home" / "uploads" / "incoming").iterdir())

    server.ask("PATCH", f"/api/runs/{run_id}", {"pinned": False})
    upload(server, 9)
    assert there(server, queued, saved, pinned) == [True, True, False]
    server.worker.gate.set()
    for run in waiting:
        ended(server, run)


def test_a_run_that_names_an_upload_that_is_gone_is_refused(server: Running) -> None:
    picture = upload(server, 1)
    [path] = (server.folder / "home" / "uploads").rglob("*.png")
    path.unlink()
    reply = server.ask("POST", "/api/runs", {"workflow": naming(picture["file"])})
    assert reply.codes == ["image-missing"]


def test_a_picture_larger_than_all_room_is_refused(server: Running) -> None:
    target = BytesIO()
    Image.frombytes("RGB", (200, 200), random.Random(0).randbytes(120_000)).save(target, "PNG")
    assert len(target.getvalue()) > UPLOADS_BUDGET
    assert server.ask("POST", "/api/uploads", target.getvalue(), Content_Type="image/png").codes == ["uploads-full"]


def test_pictures_are_swept_at_the_start_and_after_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = threading.Semaphore(0)
    sweep_once = Janitor.sweep

    def sweep_and_tell(janitor: Janitor) -> None:
        sweep_once(janitor)
        swept.release()

    monkeypatch.setattr(Janitor, "sweep", sweep_and_tell)
    monkeypatch.setattr(sweeping, "_PAUSE_S", 0.0)
    pictures = tmp_path / "home" / "pictures"

    def left(numbers: range) -> int:
        """Of old pictures, each of six tenths of the budget."""
        size_bytes = PICTURES_BUDGET * 6 // 10
        return sum(path.exists() for path in [stored(pictures, digest_of(n), size_bytes, OLD_S) for n in numbers])

    def still_left() -> int:
        assert swept.acquire(timeout=30)
        return len(list(pictures.rglob("*.png")))

    assert left(range(3)) == 3
    with serving(tmp_path) as server:
        assert still_left() == 1
        assert left(range(10, 13)) == 3
        ended(server, ask(server))
        assert still_left() == 1


def test_only_a_run_that_there_is_can_be_pinned(server: Running) -> None:
    assert server.ask("PATCH", "/api/runs/nothing", {"pinned": True}).codes == ["run-unknown"]
    run_id = ask(server)
    assert ended(server, run_id)["pinned"] is False
    both = server.ask("PATCH", f"/api/runs/{run_id}", {"pinned": True, "priority": 1})
    assert both.codes == ["request-invalid"]
    for _ in range(2):
        assert server.ask("PATCH", f"/api/runs/{run_id}", {"pinned": True}).json["pinned"] is True
    assert server.ask("GET", "/api/runs").json["runs"][0]["pinned"] is True
