"""`sdgraph serve`: the HTTP API on this machine, or with a token on the network."""

from __future__ import annotations

import asyncio
import secrets
import signal

import click

from sdgraph.cli.logs import set_up_logs
from sdgraph.cli.options import cache_option
from sdgraph.cli.streams import err, out, show_problems
from sdgraph.core.registry import Registry
from sdgraph.errors import SettingsError
from sdgraph.settings import Settings, read_settings


@click.command
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", metavar="P", default=8188, show_default=True, type=click.IntRange(0, 65535), help="0 picks one."
)
@click.option("--token", metavar="TOKEN", envvar="SDGRAPH_TOKEN", help="What every request must carry; made if needed.")
@click.option(
    "--device",
    "devices",
    metavar="D",
    multiple=True,
    help="Where runs are performed; several times for a worker each. [SDGRAPH_DEVICE]",
)
@click.option(
    "--warm",
    metavar="NAME_OR_FILE",
    multiple=True,
    help="A workflow whose models every worker loads before its first run; several times for several.",
)
@cache_option
def serve(
    host: str, port: int, token: str | None, devices: tuple[str, ...], warm: tuple[str, ...], cache: str | None
) -> int:
    """Run workflows for others: an API over HTTP, a queue, and a worker process for each device.

    Prints the address on stdout when ready. On any address but loopback a token is demanded.
    """
    from sdgraph.cli.serving import server_state
    from sdgraph.server.app import make_app
    from sdgraph.server.editor import is_built
    from sdgraph.server.guard import is_loopback, make_guard

    settings = read_settings(cache=cache)
    set_up_logs(settings)
    for device in devices:
        read_settings(device=device)
    registry = Registry.installed()
    show_problems(registry.problems)
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
        err(f"The token of this server: {token} (in a browser open /?token={token})")
    if not is_built():
        err("The editor is not built; the API works without it. Build it with: make web")
    with server_state(settings, registry, devices or (settings.device,), warm) as state:
        asyncio.run(_serve(make_app(state, make_guard(host, token)), host, port, settings))
    return 0


async def _serve(app: object, host: str, port: int, settings: Settings) -> None:
    """Listen until SIGINT or SIGTERM."""
    from aiohttp import web

    assert isinstance(app, web.Application)
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
