"""`serve --warm`: the workflows whose models every worker loads before its first run."""

from __future__ import annotations

from pathlib import Path

from sdgraph.cli.loading import read_source
from sdgraph.core.build import check_workflow
from sdgraph.core.document import to_data
from sdgraph.core.inline import self_contained
from sdgraph.core.registry import Registry
from sdgraph.engine.worker.job import Warming
from sdgraph.errors import WorkflowError
from sdgraph.server.library import Library


def named_warming(text: str, library: Library, registry: Registry, max_nodes: int) -> Warming:
    """The workflow that `serve --warm` names: a file where there is one, else one that the server has.

    Raises WorkflowError when there is none, or it can't run as it is.
    """
    path = Path(text)
    if path.is_file():
        source = read_source(text, max_nodes)
        document, name = self_contained(source.document, source.folder), source.name
    else:
        document, name = self_contained(library.get(text).document, None), text
    checked = check_workflow(document, registry, {}, folder=None, max_nodes=max_nodes)
    if checked.graph is None:
        raise WorkflowError(checked.errors)
    return Warming(name, to_data(document))
