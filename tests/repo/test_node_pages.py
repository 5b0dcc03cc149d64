"""docs/nodes/ is what the catalogue says."""

from __future__ import annotations

from tests.repo.project import ROOT
from tools.node_pages import pages


def test_the_pages_of_nodes_are_those_that_make_docs_writes() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "nodes").glob("*.md")}
    assert written == pages()
