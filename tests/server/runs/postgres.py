"""A PostgreSQL server of the tests' own: in a folder that goes away, on a socket that no other program knows."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs, which are not on the path."""
_OPTIONS = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=40"


@contextmanager
def postgres() -> Generator[str]:
    """The URL of a running server with an empty database."""
    with tempfile.TemporaryDirectory(prefix="sdgraph-pg-") as folder:
        data, who = f"{folder}/data", _user()
        if who is not None:
            shutil.chown(folder, who)
        _call("initdb", "--auth=trust", "--no-sync", "--username=sdgraph", "--encoding=UTF8", "-D", data, cwd=folder)
        options = f"{_OPTIONS} -k {folder}"
        _call("pg_ctl", "start", "--wait", "-D", data, "-l", f"{folder}/log", "-o", options, cwd=folder)
        try:
            yield f"postgresql://sdgraph@/postgres?host={folder}"
        finally:
            _call("pg_ctl", "stop", "--wait", "-m", "immediate", "-D", data, cwd=folder)


def _user() -> str | None:
    """Whom the server runs as: it refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def _call(program: str, *arguments: str, cwd: str) -> None:
    done = subprocess.run(
        [_program(program), *arguments],
        cwd=cwd,
        user=_user(),
        extra_groups=[] if _user() else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would stay open
        stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{program} as {_user() or getpass.getuser()} failed: {done.stderr}"


def _program(name: str) -> str:
    versions = sorted(_INSTALLED.glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, versions), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed: the tests need a real PostgreSQL (Debian: apt-get install postgresql)."
    return found
