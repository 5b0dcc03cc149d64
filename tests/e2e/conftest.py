"""One server and one browser for all tests of the editor, and a page of its own for each.

They live as long as tests of this folder run one after the other: Playwright keeps an event loop, beside which
`asyncio.run` of other tests would fail.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.e2e.editor import Editor
from tools.browser import browsing
from tools.serving import Server, serving

TEST_S = 900
WAIT_MS = 30_000
"""Patience with a page on a machine that does other things as well; a test that passes needs a fraction of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first run of a session waits for a worker to import torch, which a busy machine takes minutes for."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TEST_S))


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """`sdgraph serve` with a home of its own."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """A real Chromium."""
    expect.set_options(timeout=WAIT_MS)
    with browsing() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Generator[BrowserContext]:
    """A browser that has been nowhere yet."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    made.set_default_timeout(WAIT_MS)
    yield made
    made.close()


@pytest.fixture
def editor(context: BrowserContext, server: Server) -> Editor:
    """The editor with an empty canvas."""
    return Editor.opened(context.new_page(), server.url)
