"""Every client hears every event exactly once and in order, however often it goes away; nothing grows without bound."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from sdgraph.engine.worker.frames import Preview
from sdgraph.server.events_table import EventTable
from sdgraph.server.hub import EventHub
from sdgraph.server.subscription import PREVIEW_EVERY_S, Subscription
from tests.server.hub import database, event, read, running_hub, until_told

RUNS = ("r", "s")


def until(count: int) -> Callable[[list[Any]], bool]:
    return lambda found: len(found) >= count


def seqs(found: list[Any]) -> list[int]:
    return [item["seq"] for item in found]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(RUNS), min_size=1, max_size=30),
    st.lists(st.integers(0, 12), max_size=8),
    st.sampled_from([None, *RUNS]),
    st.integers(1, 8),
)
def test_a_client_that_goes_away_at_any_time_hears_every_event_once_and_in_order(
    runs: list[str], stays: list[int], run_id: str | None, in_memory: int
) -> None:
    wanted = [number for number, run in enumerate(runs, 1) if run_id in (None, run)]

    async def listen(hub: EventHub) -> list[int]:
        heard: list[int] = []
        for stay in [*stays, len(runs)]:
            count = min(stay, len(wanted) - len(heard))
            heard += seqs(await read(Subscription(hub, heard[-1] if heard else 0, run_id), until(count)))
        return heard

    async def use(folder: Path) -> None:
        async with running_hub(database(folder), in_memory=in_memory) as hub:
            listening = asyncio.create_task(listen(hub))
            for number, run in enumerate(runs, 1):
                assert await hub.publish(event(number, run)) == number
                if number % 3 == 0:
                    await asyncio.sleep(0)
            assert await listening == wanted

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(use(Path(folder)))


def test_numbers_go_on_after_a_restart_and_earlier_events_are_told(tmp_path: Path) -> None:
    async def use() -> None:
        for start in (1, 4, 7):
            async with running_hub(database(tmp_path)) as hub:
                assert [await hub.publish(event(number)) for number in range(3)] == [start, start + 1, start + 2]
        async with running_hub(database(tmp_path)) as hub:
            assert seqs(await read(Subscription(hub, 2), until(7))) == [3, 4, 5, 6, 7, 8, 9]

    asyncio.run(use())


def test_nobody_is_told_of_an_event_before_it_is_stored(tmp_path: Path) -> None:
    """After kill -9 the next server gives the numbers after the last that anybody has seen."""

    async def use() -> None:
        engine = database(tmp_path)
        async with running_hub(engine) as hub:
            subscription = Subscription(hub, 0)
            for number in range(20):
                await hub.publish(event(number))
                found = await read(Subscription(hub, number), until(1))
                assert EventTable(engine).last() >= found[-1]["seq"]
            subscription.close()

    asyncio.run(use())


def test_events_wait_while_the_database_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    add = EventTable.add

    def away_at_first(table: EventTable, events: Any, keep: int) -> None:
        tries.append(len(events))
        if len(tries) < 3:
            raise OperationalError("insert", None, Exception("disk I/O error"))
        add(table, events, keep)

    monkeypatch.setattr(EventTable, "add", away_at_first)
    monkeypatch.setattr("sdgraph.server.hub._RETRY_S", 0.0)

    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            subscription = Subscription(hub, 0)
            await hub.publish(event(1))
            assert seqs(await read(subscription, until(1))) == [1]

    asyncio.run(use())
    assert tries == [1, 1, 1]


def test_of_progress_a_client_gets_the_newest_and_never_before_its_node_began(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            subscription = Subscription(hub)
            await hub.publish(event(1))
            for done in range(1000):
                await hub.publish(event(1, type="node_progress", done=done, total=1000))
            found = await read(subscription, lambda found: bool(found) and found[-1].get("done") == 999)
            assert found[0]["type"] == "node_started"
            assert len(found) <= 4
            assert {item["seq"] for item in found} == {1}
            assert EventTable(database(tmp_path)).last() == 1

    asyncio.run(use())


def test_progress_of_no_node_ends_nothing(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            await hub.publish({"type": "node_progress", "run_id": "r", "done": 1, "total": 2})
            await hub.publish(event(1))
            assert (await read(Subscription(hub, 0), until(1)))[0]["type"] == "node_started"

    asyncio.run(use())


def test_a_note_is_not_lost_among_progress(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            await hub.publish(event(1, type="node_progress", done=1, total=2, note="2 pictures finished early"))
            await hub.publish(event(1, type="node_progress", done=2, total=2))
            assert [item.get("note") for item in await read(Subscription(hub, 0), until(1))] == [
                "2 pictures finished early"
            ]

    asyncio.run(use())


def test_who_comes_during_a_run_sees_its_progress_and_preview_and_nothing_of_what_ended(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            for node in (1, 2):
                await hub.publish(event(node))
                await hub.publish(event(node, type="node_progress", done=1, total=2))
                hub.show(Preview("r", f"n{node}", b"picture %d" % node, "image/jpeg"))
            await hub.publish(event(1, type="node_finished"))
            await until_told(hub, 3)
            found = await read(Subscription(hub), until(2))
            assert found[0]["node"] == "n2"
            assert Preview.from_bytes(found[1]).content == b"picture 2"
            await until_told(hub, await hub.publish({"type": "run_finished", "run_id": "r"}))
            assert (hub.progress, hub.previews) == ({}, {})

    asyncio.run(use())


def test_a_client_that_does_not_read_keeps_nothing_but_the_newest_of_each_node(tmp_path: Path) -> None:
    now = [0.0]

    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            subscription = Subscription(hub, 0, clock=lambda: now[0])
            for number in range(1, 501):
                await hub.publish(event(number, run_id=f"r{number % 3}"))
                hub.show(Preview(f"r{number % 3}", "sample", b"%d" % number, "image/jpeg"))
            await until_told(hub, 500)
            held = {name: value for name, value in vars(subscription).items() if isinstance(value, (set, list, dict))}
            assert sum(len(value) for value in held.values()) <= 3
            found = await read(subscription, lambda found: sum(isinstance(item, bytes) for item in found) == 3)
            assert seqs([item for item in found if not isinstance(item, bytes)]) == list(range(1, 501))
            shown = [Preview.from_bytes(item).content for item in found if isinstance(item, bytes)]
            assert sorted(shown) == [b"498", b"499", b"500"]

    asyncio.run(use())


def test_previews_come_at_intervals_and_the_last_one_always(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            subscription = Subscription(hub)

            async def show() -> None:
                for number in range(100):
                    hub.show(Preview("r", "n", b"%d" % number, "image/jpeg"))
                    await asyncio.sleep(0)

            showing = asyncio.create_task(show())
            loop = asyncio.get_running_loop()
            started = loop.time()
            last = Preview("r", "n", b"99", "image/jpeg").to_bytes()
            found = await read(subscription, lambda found: bool(found) and found[-1] == last)
            await showing
            assert len(found) <= 1 + (loop.time() - started) / PREVIEW_EVERY_S + 1

    asyncio.run(use())


@pytest.mark.parametrize(("after", "said"), [(0, 7), (99, 10), (None, None), (7, None), (10, None)])
def test_who_asks_for_what_is_forgotten_or_never_was_is_told_where_to_go_on(
    tmp_path: Path, after: int | None, said: int | None
) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path), keep=3, in_memory=2) as hub:
            for number in range(1, 11):
                await hub.publish(event(number))
                await read(Subscription(hub, number - 1), until(1))
            subscription = Subscription(hub, after)
            reading = asyncio.create_task(read(subscription, lambda found: bool(found) and found[-1]["seq"] == 11))
            while subscription.seen != 10:
                await asyncio.sleep(0)
            await hub.publish(event(11))
            found = await reading
            assert (found[0]["type"] == "events_forgotten") == (said is not None)
            if said is not None:
                assert found.pop(0)["seq"] == said
            start = {0: 8, 99: 11, None: 11, 7: 8, 10: 11}[after]
            assert seqs(found) == list(range(start, 12))

    asyncio.run(use())


def test_events_are_sent_as_they_were_published_with_the_hubs_number(tmp_path: Path) -> None:
    async def use() -> None:
        async with running_hub(database(tmp_path)) as hub:
            await hub.publish({"seq": 77, "run_id": "r", "type": "node_finished", "node": "ä", "elapsed_s": 0.5})
            found = await read(Subscription(hub, 0), until(1))
            assert found == [{"seq": 1, "run_id": "r", "type": "node_finished", "node": "ä", "elapsed_s": 0.5}]
            assert json.dumps(found[0])

    asyncio.run(use())
