"""Looking at every installed node type imports nothing that only running nodes needs."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from sdgraph.core.catalog import catalog
from sdgraph.core.registry import Registry
assert catalog(Registry.installed())["nodes"]
print(*sorted({"torch", "torchvision", "diffusers", "transformers", "cv2"} & set(sys.modules)))
"""


def test_the_catalogue_of_all_nodes_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
