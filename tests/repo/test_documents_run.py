"""What the documents show works as it stands there."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sdgraph_nodes.pack import PACK

from sdgraph.core.catalog import describe_node
from sdgraph.core.registry import Registry
from tests.repo.documents import block_of, blocks
from tests.repo.project import ROOT

PROGRAM = Path(sys.executable).with_name("sdgraph")


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/guide/getting-started.md",
        "docs/guide/writing-workflows.md",
        "docs/guide/command-line.md",
        "docs/guide/control.md",
        "docs/guide/lora.md",
        "docs/guide/models.md",
        "docs/guide/why-did-this-run-again.md",
    ],
)
def test_the_blocks_of_a_document_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "workflows", tmp_path / "workflows")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": document}
    ran = 0
    for block in blocks(document):
        if block.file is not None:
            Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            exec(compile(block.text, document, "exec"), names)
            ran += 1
        elif block.kind == "sh":
            for words in block.commands():
                done = subprocess.run([PROGRAM, *words[1:]], capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"
                ran += 1
    assert ran


def module_from(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = folder / f"{name.rpartition('.')[2]}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_walkthrough_makes_a_node_that_passes_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = "CONTRIBUTING.md"
    node_file, test_file = "nodes/sdgraph_nodes/invert.py", "tests/nodes/test_invert.py"
    invert = module_from("sdgraph_nodes.invert", block_of(guide, node_file), tmp_path, monkeypatch)
    registry = Registry([replace(PACK, nodes=(*PACK.nodes, invert.Invert))])
    described = describe_node(registry.specs["image.invert"])
    assert described["doc"] == "Turn a picture into its negative."
    assert described["inputs"][1]["help"] == "0 leaves the picture as it is, 1 is the full negative."
    tests = module_from("test_invert", block_of(guide, test_file), tmp_path, monkeypatch)
    found = [getattr(tests, name) for name in dir(tests) if name.startswith("test_")]
    assert len(found) == 2
    for test in found:
        test()
