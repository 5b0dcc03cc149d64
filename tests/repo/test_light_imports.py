"""The graph half works without importing what the tensor half needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "diffusers", "transformers")
LOAD_EVERYTHING = """
from sdgraph.core.catalog import catalog
from sdgraph.core.registry import Registry
assert catalog(Registry.installed())["nodes"]
"""


@pytest.mark.parametrize(
    "code", ["import sdgraph; [getattr(sdgraph, name) for name in sdgraph.__all__]", LOAD_EVERYTHING]
)
def test_public_names_and_the_catalogue_import_nothing_heavy(code: str) -> None:
    check = f"{code}\nimport sys\nprint(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == ""
