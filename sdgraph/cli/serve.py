"""`sdgraph serve`: the HTTP API on this machine, or with a token on the network."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from pathlib import Path

import click

from sdgraph.cli.options import cache_option
from sdgraph.cli.stores import open_shelf
from sdgraph.cli.streams import err, out, show_problems
from sdgraph.core.registry import Registry
from sdgraph.errors import SettingsError
from sdgraph.settings import Settings, read_settings

_PACKAGE = Path(__file__).parents[1]


@click.command
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", metavar="P", default=8188, show_default=True, type=click.IntRange(0, 65535), help="0 picks one."
)
@click.option("--token", metavar="TOKEN", envvar="SDGRAPH_TOKEN", help="What every request must carry; made if needed.")
@cache_option
def serve(host: str, port: int, token: str | None, cache: str | None) -> int:
    """Answer HTTP requests: the catalogue, checks, plans and saved workflows.

    Prints the address on stdout when ready. On any address but loopback a token is demanded.
    """
    from sdgraph.server.app import make_app
    from sdgraph.server.guard import is_loopback, make_guard
    from sdgraph.server.library import Library
    from sdgraph.server.state import ServerState

    settings = read_settings(cache=cache)
    registry = Registry.installed()
    show_problems(registry.problems)
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
        err(f"The token of this server: {token}")
    library = Library(settings.home_folder / "workflows", _templates(), settings.max_nodes)
    with open_shelf(settings, registry) as shelf:
        state = ServerState(registry, shelf.store, shelf.journal, library, settings.max_nodes)
        asyncio.run(_serve(make_app(state, make_guard(host, token)), host, port, settings))
    return 0


def _templates() -> Path:
    """The workflows that ship: in the package once it is installed, beside it in a checkout."""
    installed = _PACKAGE / "assets" / "workflows"
    return installed if installed.is_dir() else _PACKAGE.parent / "workflows"


async def _serve(app: object, host: str, port: int, settings: Settings) -> None:
    """Listen until SIGINT or SIGTERM."""
    from aiohttp import web

    assert isinstance(app, web.Application)
    if settings.debug:
        logging.basicConfig(level=logging.DEBUG)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        message = f"The server can't listen on {host}:{port}: {error.strerror or error}."
        raise SettingsError("address-unusable", message, "Choose another --port; 0 picks a free one.") from None
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    out(f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}/")
    await stopped.wait()
    await runner.cleanup()
