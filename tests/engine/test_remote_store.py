"""The remote tier: read through, written back, and nothing slows down or is lost when it is away."""

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.mirrored import MirroredStore
from sdgraph.engine.stores.remote import Breaker, Remote, RemoteAway, within
from sdgraph.engine.stores.tiered import TieredStore
from sdgraph.errors import StoreError
from tests.engine.disk import key, payloads, recordings, tape
from tests.engine.runs import WAIT_S
from tests.engine.toys import Bench

PAYLOADS = payloads()
PLACES = ("file", "memory", "s3")


@pytest.fixture(scope="module")
def s3_options() -> Iterator[dict[str, Any]]:
    """A server on this machine that speaks S3 over HTTP."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "key": "k",
        "secret": "s",
        "endpoint_url": f"http://{host}:{port}",
        "skip_instance_cache": True,
    }
    server.stop()


Open = Callable[..., Remote]


@pytest.fixture
def places(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Open]:
    """`places("s3")` gives what opens one new place, as often as wanted."""

    def place(kind: str) -> Open:
        options: dict[str, Any] = {}
        url = f"memory://{uuid.uuid4().hex}"
        if kind == "file":
            url = (tmp_path / "share").as_uri()
        elif kind == "s3":
            options = request.getfixturevalue("s3_options")
            bucket = uuid.uuid4().hex
            Remote(f"s3://{bucket}", options=options).fs.mkdir(bucket)
            url = f"s3://{bucket}/results"
        return partial(Remote, url, options=options, look_s=WAIT_S)

    return place


def mirrored(folder: Path, remote: Remote) -> MirroredStore:
    return MirroredStore(DiskStore(folder, PAYLOADS), remote, PAYLOADS, close_wait_s=WAIT_S)


def same(found: Result | None, expected: Result) -> bool:
    return found is not None and bool(
        np.array_equal(found.outputs["tape"].samples, expected.outputs["tape"].samples)
        and found.outputs["level"] == expected.outputs["level"]
    )


def files(remote: Remote) -> list[str]:
    return sorted(remote.fs.find(remote._folder))


@pytest.mark.parametrize("kind", PLACES)
def test_what_one_machine_stored_another_one_reads(kind: str, places: Callable[[str], Open], tmp_path: Path) -> None:
    open_remote = places(kind)
    one = mirrored(tmp_path / "one", open_remote())
    one.save(key(1), tape(0.25), keep=True)
    one.save(key(2), tape(0.25), keep=True)  # the same content: one object
    one.close()
    assert one.take_problems() == []
    assert len(files(open_remote())) == 3
    other = mirrored(tmp_path / "other", open_remote())
    assert other.find(key(1)) == "remote"
    assert other.find(key(7)) is None
    assert same(other.load(key(1)), tape(0.25))
    assert other.disk.find(key(1)) == "disk"  # so that it is not fetched twice
    assert other.load(key(7)) is None
    assert other.take_problems() == []
    other.close()


@pytest.mark.parametrize("kind", PLACES)
def test_damage_in_the_remote_store_is_a_reported_miss_and_is_mended(
    kind: str, places: Callable[[str], Open], tmp_path: Path
) -> None:
    open_remote = places(kind)
    one = mirrored(tmp_path / "one", open_remote())
    for number in (1, 2):
        one.save(key(number), tape(number), keep=True)
    one.close()
    remote = open_remote()
    manifest = remote._manifest_path(key(2))
    (damaged,) = [path for path in files(remote) if "/objects/" in path and object_of(remote, 1) in path]
    for path, content in ((damaged, b"damaged" * 30), (manifest, remote.fs.cat_file(manifest).replace(b"1.0", b"1.5"))):
        remote.fs.pipe_file(path, content)
    other = mirrored(tmp_path / "other", open_remote())
    assert [other.load(key(number)) for number in (1, 2)] == [None, None]
    assert [problem.code for problem in other.take_problems()] == ["remote-entry-damaged"] * 2
    for number in (1, 2):
        other.save(key(number), tape(number), keep=True)
    other.close()
    third = mirrored(tmp_path / "third", open_remote())
    assert all(same(third.load(key(number)), tape(number)) for number in (1, 2))
    third.close()


def object_of(remote: Remote, number: int) -> str:
    manifest = json.loads(json.loads(remote.fs.cat_file(remote._manifest_path(key(number))))["manifest"])
    digest: str = manifest["outputs"]["tape"]["object"]
    return digest


@pytest.mark.parametrize("kind", PLACES)
def test_a_run_on_another_machine_computes_nothing(kind: str, places: Callable[[str], Open], tmp_path: Path) -> None:
    open_remote = places(kind)

    def bench(name: str) -> Bench:
        return Bench(
            lambda payloads: TieredStore(payloads, MemoryStore(payloads), mirrored(tmp_path / name, open_remote()))
        )

    first, second = bench("one"), bench("other")
    report = first.run(recordings())
    first.store.close()
    plan = second.plan(recordings())
    assert {step.tier for step in plan.steps.values() if step.target} == {"remote"}
    again = second.run(plan)
    assert second.log.runs.total() == 0
    assert again.nodes["louder"].to_json()["store"] == "remote"
    np.testing.assert_array_equal(again.outputs["louder"].samples, report.outputs["louder"].samples)
    second.store.close()


# Away.


class Shaky(Remote):
    """A remote store that can be away or hang."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.away = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.calls = 0

    def _call(self, work: Callable[[], Any], limit_s: float) -> Any:
        def shaky() -> Any:
            self.calls += 1
            self.hangs.wait(WAIT_S)
            if self.away:
                raise OSError("no route to host")
            return work()

        return super()._call(shaky, limit_s)


def shaky(**options: Any) -> Shaky:
    return Shaky(f"memory://{uuid.uuid4().hex}", rest_s=1e6, **options)


def test_results_of_a_run_without_the_remote_are_written_by_the_next_one(tmp_path: Path) -> None:
    remote = shaky()
    remote.away = True
    store = MirroredStore(DiskStore(tmp_path, PAYLOADS), remote, PAYLOADS, close_wait_s=WAIT_S)
    for number in range(5):
        store.save(key(number), tape(number), keep=True)
    assert store.find(key(3)) == "disk"
    store.close()
    assert {problem.code for problem in store.take_problems()} == {"remote-away", "remote-behind"}
    back = Shaky(remote.url)
    again = mirrored(tmp_path, back)  # nothing has to be saved for it
    again.close()
    assert again.take_problems() == []
    assert all(back.has(key(number)) for number in range(5))


def test_a_remote_that_hangs_is_asked_once_and_then_left_alone(tmp_path: Path) -> None:
    remote = shaky(look_s=0.05, transfer_s=0.05)
    remote.hangs.clear()
    store = MirroredStore(DiskStore(tmp_path, PAYLOADS), remote, PAYLOADS, close_wait_s=0.0)
    for number in range(50):
        assert store.find(key(number)) is None
        assert store.load(key(number)) is None
        store.save(key(number), tape(number), keep=True)
    assert remote.calls == 1
    (problem,) = [problem for problem in store.take_problems() if problem.code == "remote-away"]
    assert "no answer within 0.05 s" in problem.message
    store.close()
    remote.hangs.set()


@pytest.mark.parametrize("kind", PLACES)
def test_a_plan_of_very_many_nodes_asks_for_all_keys_at_once(
    kind: str, places: Callable[[str], Open], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_remote = places(kind)
    one = mirrored(tmp_path / "one", open_remote())
    one.save(key(500), tape(), keep=True)
    one.close()
    remote, asked = open_remote(), list[bytes]()
    has = remote.has

    def note(key: bytes) -> bool:
        asked.append(key)
        return has(key)

    monkeypatch.setattr(remote, "has", note)
    monkeypatch.setattr("sdgraph.engine.stores.mirrored._LIST_AFTER", 5)
    disk = DiskStore(tmp_path / "other", PAYLOADS)
    other = MirroredStore(disk, remote, PAYLOADS, close_wait_s=WAIT_S, clock=lambda: 0.0)
    assert [number for number in range(1_000) if other.find(key(number)) == "remote"] == [500]
    assert len(asked) == 5
    assert same(other.load(key(500)), tape())
    other.close()


def test_a_run_with_a_remote_that_is_away_is_done_with_a_warning(tmp_path: Path) -> None:
    remote = shaky()
    remote.away = True
    bench = Bench(lambda payloads: MirroredStore(DiskStore(tmp_path, payloads), remote, payloads, close_wait_s=0.0))
    report = bench.run(recordings())
    assert report.status == "done"
    assert {(problem.code, problem.severity) for problem in report.problems} == {("remote-away", "warning")}
    bench.store.close()


def test_an_outbox_entry_whose_result_is_gone_is_reported_and_let_go(tmp_path: Path) -> None:
    remote = shaky()
    remote.away = True
    store = MirroredStore(DiskStore(tmp_path, PAYLOADS), remote, PAYLOADS, close_wait_s=0.0)
    store.save(key(1), tape(), keep=True)
    store.close()
    disk = DiskStore(tmp_path, PAYLOADS)
    disk.clear()
    disk.close()
    noted = tmp_path / FORMAT_FOLDER / "outbox" / key(1).hex()
    again = mirrored(tmp_path, shaky())
    again.close()
    assert noted.exists()  # another process might be saving it
    os.utime(noted, (1, 1))
    again = mirrored(tmp_path, shaky())
    again.close()
    assert [problem.code for problem in again.take_problems()] == ["remote-behind"]
    assert not again._outbox.all()


# Slow.


class Slow(Remote):
    """A remote store that answers, after a time that passes on a clock of its own."""

    def __init__(self, url: str, answers_s: float) -> None:
        self.now = 0.0
        self.answers_s = answers_s
        self.limits: list[float] = []
        super().__init__(url, clock=lambda: self.now)

    def _call(self, work: Callable[[], Any], limit_s: float) -> Any:
        def slow() -> Any:
            self.now += self.answers_s
            return work()

        self.limits.append(limit_s)
        return super()._call(slow, limit_s)


def test_a_slow_remote_is_asked_for_single_keys_for_a_second_only(tmp_path: Path) -> None:
    remote = Slow(f"memory://{uuid.uuid4().hex}", answers_s=0.4)
    disk = DiskStore(tmp_path, PAYLOADS)
    store = MirroredStore(disk, remote, PAYLOADS, close_wait_s=WAIT_S, clock=lambda: remote.now)
    assert [store.find(key(number)) for number in range(500)] == [None] * 500
    assert len(remote.limits) == 4  # three times for a key, once for all
    store.close()


def test_a_result_is_not_waited_for_longer_than_computing_it_took(tmp_path: Path) -> None:
    remote = Slow(f"memory://{uuid.uuid4().hex}", answers_s=0.0)
    store = MirroredStore(DiskStore(tmp_path / "one", PAYLOADS), remote, PAYLOADS, close_wait_s=WAIT_S)
    for number, elapsed_s in enumerate((0.5, 7.0, 1e6)):
        store.save(key(number), tape(number, elapsed_s=elapsed_s), keep=True)
    store.close()
    for number, limit_s in enumerate((2.0, 7.0, 120.0)):
        reader = Slow(remote.url, answers_s=0.0)
        assert same(reader.load(key(number), PAYLOADS), tape(number))
        assert reader.limits == [2.0, limit_s]


def test_a_slow_remote_is_not_asked_who_computes_what_takes_hardly_longer(tmp_path: Path) -> None:
    remote = Slow(f"memory://{uuid.uuid4().hex}", answers_s=0.5)
    store = MirroredStore(DiskStore(tmp_path, PAYLOADS), remote, PAYLOADS, close_wait_s=WAIT_S)
    assert store.find(key(1)) is None
    asked = len(remote.limits)
    assert store.claim(key(1), 5.0) is not None
    assert len(remote.limits) == asked
    assert store.claim(key(2), 50.0) is not None
    assert len(remote.limits) > asked
    store.close()


def test_the_breaker_lets_one_try_after_a_rest() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0], rest_s=30.0)
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    now[0] = 31.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    now[0] += 59.0  # it rests for twice as long when it fails again
    assert not breaker.allows()
    now[0] += 2.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_work_that_takes_too_long_is_left_to_itself() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError, match="no answer"):
        within(0.01, lambda: never.wait(WAIT_S))
    never.set()
    with pytest.raises(ZeroDivisionError):
        within(1.0, lambda: 1 // 0)


def test_a_failed_call_says_what_went_wrong() -> None:
    remote = shaky()
    remote.away = True
    with pytest.raises(RemoteAway, match="no route to host"):
        remote.has(key(1))


def test_an_address_that_nothing_can_read_is_an_error_that_says_so() -> None:
    with pytest.raises(StoreError, match="remote-unusable"):
        Remote("nonsense://bucket")
