"""`sdgraph cache pin` and `unpin`: by key, or by the outputs of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sdgraph.cli.loading import load
from sdgraph.cli.streams import show_problems
from sdgraph.core.registry import Registry
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.errors import StoreError
from sdgraph.settings import Settings


def keys_of(
    what: str,
    outputs: Sequence[str],
    given: tuple[str, ...],
    inputs_file: str | None,
    store: DiskStore,
    settings: Settings,
) -> list[tuple[str, CacheKey]]:
    """What is to be pinned, with what to call it: the result of a key, or of some outputs of a workflow.

    Raises StoreError [result-missing, key-ambiguous], and what loading and planning a workflow raise.
    """
    if not outputs:
        key = store.key_from(what)
        return [(key.hex(), key)]
    registry = Registry.installed()
    loaded = load(what, given, inputs_file, registry, settings)
    show_problems(loaded.warnings)
    plan = make_plan(loaded.graph, store, outputs=outputs)
    return [(f"{name} ({key.hex()})", key) for name, key in _stored(plan, what, outputs)]


def _stored(plan: Plan, file: str, outputs: Sequence[str]) -> Iterator[tuple[str, CacheKey]]:
    """The wanted outputs with their keys; a number that is known before the run has no result."""
    for name in outputs:
        ref = plan.targets.get(name)
        step = None if ref is None else plan.step_of[ref.node]
        if step is None or step.tier is None:
            raise StoreError(
                "result-missing",
                f"The output `{name}` of {file} has no stored result for these inputs.",
                f"Run it first: `sdgraph run {file}`, with the same inputs.",
            )
        yield name, step.key
