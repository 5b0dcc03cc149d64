"""The queue's order is changed by mouse and by keyboard, and the server's with it."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Locator, expect

from sdgraph.client import Client, connect
from tests.e2e.editor import RUN_MS, Editor, document
from tools.serving import Server

WAITING = ["a red cross", "a green ring", "a blue star"]
LONG = {"steps": 1000, "width_px": 256, "height_px": 256}
"""The run that the others wait for takes minutes; it is cancelled."""


@pytest.fixture
def client(server: Server) -> Generator[Client]:
    """A program that queues runs beside the editor; it takes them all out again."""
    with connect(server.url) as running:
        yield running
        left = [run.run_id for run in running.runs().runs if run.status in ("queued", "running")]
        for run_id in left:
            running.cancel(run_id)
        for run_id in left:
            running.wait_for(run_id)


@pytest.fixture
def queue(editor: Editor, client: Client) -> Locator:
    """The queue with one run that goes on and three that wait."""
    workflow = document("txt2img")
    client.run(workflow, inputs={"prompt": "a long one", "seed": 9100} | LONG)
    for prompt in WAITING:
        client.run(workflow, inputs={"prompt": prompt, "seed": 9101})
    panel = editor.dock("Queue")
    expect(panel.get_by_label("Running").get_by_text("a long one")).to_be_visible(timeout=RUN_MS)
    _expect_order(panel, WAITING)
    return panel


def _rows(queue: Locator) -> Locator:
    return queue.get_by_label("Waiting").get_by_role("listitem")


def _expect_order(queue: Locator, prompts: list[str]) -> None:
    expect(_rows(queue)).to_have_count(len(prompts))
    expect(_rows(queue)).to_contain_text(prompts)


def _order_of_server(client: Client) -> list[str]:
    waiting = [run for run in client.runs().runs if run.status == "queued"]
    return [str(run.inputs["prompt"]) for run in sorted(waiting, key=lambda run: (-run.priority, run.position or 0))]


def test_a_run_is_dragged_to_its_place(queue: Locator, client: Client) -> None:
    _rows(queue).nth(2).drag_to(_rows(queue).nth(0))
    moved = [WAITING[2], WAITING[0], WAITING[1]]
    _expect_order(queue, moved)
    assert _order_of_server(client) == moved
    _rows(queue).nth(0).drag_to(_rows(queue).nth(2))
    _expect_order(queue, WAITING)
    assert _order_of_server(client) == WAITING


def test_a_run_is_moved_by_keyboard_and_keeps_the_focus(queue: Locator, client: Client) -> None:
    _rows(queue).nth(0).get_by_role("button", name="down").focus()
    queue.page.keyboard.press("Enter")
    _expect_order(queue, [WAITING[1], WAITING[0], WAITING[2]])
    queue.page.keyboard.press("Enter")
    moved = [WAITING[1], WAITING[2], WAITING[0]]
    _expect_order(queue, moved)
    assert _order_of_server(client) == moved
    expect(_rows(queue).nth(2).get_by_role("button", name="down")).to_be_focused()


def test_a_raised_run_comes_first_and_a_cancelled_one_leaves(queue: Locator, client: Client) -> None:
    _rows(queue).nth(2).get_by_role("combobox", name="Priority").select_option("High")
    _expect_order(queue, [WAITING[2], WAITING[0], WAITING[1]])
    _rows(queue).nth(1).get_by_role("button", name="Cancel").click()
    left = [WAITING[2], WAITING[1]]
    _expect_order(queue, left)
    assert _order_of_server(client) == left
