"""Use a server from a program: `connect("http://127.0.0.1:8188/").run(workflow).result()`."""

from sdgraph.client.asynchronous import AsyncClient, AsyncRun
from sdgraph.client.blocking import Client, Run, connect

__all__ = ["AsyncClient", "AsyncRun", "Client", "Run", "connect"]
