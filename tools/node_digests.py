"""Keeps stale code from serving old results: a table of every node type's version and the digest of its source.

    python -m tools.node_digests            say which node types changed without a new version
    python -m tools.node_digests --accept   take the present source of all of them for right

The key of a result holds the node's version, not its code. So code that gives other results needs a new version, and a
change that does not (a new name, a better message) has to be accepted. The digest covers the node's class, whatever
stands beside it in its module, and the modules of the same pack that this one imports; comments, docstrings, layout and
other nodes of the module do not count. What lies deeper (the sampling mathematics) is held by tests of its own.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sdgraph_nodes.pack import PACK

from sdgraph.core.node import Node

TABLE = Path(__file__).with_name("node_digests.json")
Table = Mapping[str, Mapping[str, Any]]


def present() -> dict[str, dict[str, Any]]:
    """The table as the source says."""
    return {
        cls.node_type: {"version": cls.node_version, "digest": digest_of(cls)}
        for cls in sorted(PACK.nodes, key=lambda cls: cls.node_type)
    }


def read_table(path: Path = TABLE) -> dict[str, dict[str, Any]]:
    """The committed table; empty where none was accepted yet."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write_table(path: Path = TABLE) -> None:
    path.write_text(json.dumps(present(), indent=1) + "\n", "utf-8")


def complaints(accepted: Table, found: Table) -> list[str]:
    """What has to be accepted, or to get a new version."""
    said: list[str] = []
    for name in sorted({*accepted, *found}) if accepted else ():
        before, after = accepted.get(name), found.get(name)
        if before is None or after is None:
            said.append(f"{name} is {'new' if before is None else 'gone'}")
        elif before["version"] != after["version"]:
            said.append(f"{name} has version {after['version']}, accepted was {before['version']}")
        elif before["digest"] != after["digest"]:
            said.append(f"{name} changed: raise its version if it gives other results")
    return said


def digest_of(cls: type[Node[Any]]) -> str:
    """A digest of the code behind a node type."""
    pack = cls.__module__.partition(".")[0]
    parts = [_without_other_nodes(cls)]
    parts += [ast.dump(_code(name)) for name in sorted(_helpers(cls.__module__, pack) - {cls.__module__})]
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _without_other_nodes(cls: type[Node[Any]]) -> str:
    module = importlib.import_module(cls.__module__)
    others = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Node) and value.node_type and value is not cls
    }
    tree = _code(cls.__module__)
    tree.body = [part for part in tree.body if not (isinstance(part, ast.ClassDef) and part.name in others)]
    return ast.dump(tree)


def _code(module: str) -> ast.Module:
    """The syntax tree of a module without docstrings (and, being a tree, without comments and layout)."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for part in ast.walk(tree):
        body: list[ast.stmt] | None = getattr(part, "body", None)
        if isinstance(body, list):
            body[:] = [line for line in body if not _is_text(line)]
    return tree


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _helpers(module: str, pack: str) -> set[str]:
    """A module and those of its pack that it imports, directly or not."""
    found: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(_imports(name, pack))
    return found


def _imports(module: str, pack: str) -> Iterator[str]:
    for part in ast.walk(_code(module)):
        if isinstance(part, ast.ImportFrom) and (part.module or "").partition(".")[0] == pack:
            yield part.module or ""


def main(arguments: list[str] | None = None) -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--accept", action="store_true", help="write the table anew")
    if parser.parse_args(arguments).accept:
        write_table()
        return 0
    said = complaints(read_table(), present())
    for line in said:
        print(line)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
