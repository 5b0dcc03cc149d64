"""`sdgraph serve` as people start it, in a process and with a home folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass
class Server:
    """A server that listens on loopback."""

    process: subprocess.Popen[str]
    url: str
    home: Path

    def get(self, path: str) -> Any:
        """What a GET gives, parsed."""
        with urllib.request.urlopen(self.url.rstrip("/") + path, timeout=30) as answer:
            return json.load(answer)

    def workers(self) -> list[psutil.Process]:
        """The worker processes that live."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill_worker(self) -> None:
        """kill -9 of every worker, as the out-of-memory killer does it."""
        for worker in self.workers():
            worker.send_signal(signal.SIGKILL)


@contextmanager
def serving(home: Path, *arguments: str) -> Generator[Server]:
    """A server for as long as the block lasts; what it says goes to `home/server.log`."""
    command = [str(Path(sys.executable).with_name("sdgraph")), "serve", "--port", "0", *arguments]
    environment = os.environ | {"SDGRAPH_HOME": str(home), "OMP_NUM_THREADS": "1"}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http"), (home / "server.log").read_text()
            yield Server(process, url, home)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
            if process.stdout is not None:
                process.stdout.close()
